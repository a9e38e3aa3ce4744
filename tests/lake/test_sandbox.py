"""lake.sandbox: what an actor sees in any SQL, and what no SQL can do."""

from __future__ import annotations

from typing import Any

import pytest
from tests.lake.conftest import Shore, observation, patient
from tests.waiting import WAIT_S

from careloom.fhir.outcome import OutcomeError
from careloom.lake.prepared import Prepared
from careloom.lake.sandbox import Limits, asked, sealed
from careloom.store.actor import Actor

PHYSICIAN = Actor("dr", frozenset({"physician"}))
OF_ONE = Actor("dr1", frozenset({"physician"}), frozenset({"Patient/p1"}))
INTEGRATION = Actor("etl", frozenset({"integration"}))
NURSE = Actor("n", frozenset({"nurse"}))
RESTRICTED = {
    "security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]
}
SECRET = "Zebedee"


@pytest.fixture
def filled(shore: Shore) -> Shore:
    shore.say(patient("p1"), patient("p2", SECRET), observation("o1"), observation("o2", 7.5, "p2"))
    shore.say(observation("o1", 2.5))
    shore.say(observation("o3", 9.5) | {"meta": RESTRICTED})
    shore.build()
    return shore


def ask(shore: Shore, actor: Actor, sql: str, values: Any = None, **limits: Any) -> list[tuple[Any, ...]]:
    with asked(
        shore.database, shore.root, actor, sql, values, Limits(**({"seconds": WAIT_S} | limits))
    ) as rows:
        return list(rows.rows())


def refused(shore: Shore, sql: str, actor: Actor = OF_ONE, **limits: Any) -> OutcomeError:
    with pytest.raises(OutcomeError) as caught:
        ask(shore, actor, sql, **limits)
    assert SECRET not in str(caught.value)
    return caught.value


def test_each_actor_sees_what_the_store_shows_them(filled: Shore) -> None:
    sql = 'select id, valueQuantity.value from "Observation" order by id'
    assert ask(filled, PHYSICIAN, sql) == [("o1", 2.5), ("o2", 7.5), ("o3", 9.5)]
    assert ask(filled, OF_ONE, sql) == [("o1", 2.5), ("o3", 9.5)]
    assert ask(filled, INTEGRATION, sql) == [("o1", 2.5), ("o2", 7.5)]
    assert ask(filled, OF_ONE, "select id from patient") == [("p1",)]
    for sql in ("select 1", 'select id from "Patient"'):
        assert refused(filled, sql, NURSE).issues[0].code == "forbidden"


def test_a_label_or_a_new_subject_that_the_lake_has_not_yet_heard_of_hides_at_once(filled: Shore) -> None:
    filled.say(observation("o2", 7.5, "p2") | {"meta": RESTRICTED})
    filled.say(observation("o1", 2.5, "p2"))
    assert ask(filled, INTEGRATION, "select id from Observation where id = 'o2'") == []
    assert ask(filled, OF_ONE, "select id from Observation where id = 'o1'") == []


def test_what_is_written_later_is_there_after_the_next_build(filled: Shore) -> None:
    assert len(ask(filled, OF_ONE, "from Observation")) == 2
    filled.say(observation("o4", 1.0, "p1"))
    filled.build()
    assert [row[0] for row in ask(filled, OF_ONE, "select id from Observation order by id")] == [
        "o1",
        "o3",
        "o4",
    ]


DEEDS = (
        "create table t as select 1", "insert into Patient values (1)", "drop view Patient", "set memory_limit = '9GB'",
        "pragma database_list", "attach '{root}/x.db'", "copy Patient to '{root}/out.csv'", "install httpfs", "load json",
        "select 1; select 2", "call range(3)", "prepare q as select 1", "execute q", "export database '{root}/x'",
        "select * from read_parquet('{root}/Patient/*.parquet')", "select * from '{root}/Patient/x.parquet'",
        "from read_text('/etc/passwd')", "from glob('{root}/**')", "from duckdb_views()", "from duckdb_settings()",
        "from query('select 1')", "from query_table('Patient')", "select current_setting('allowed_paths')",
        "select 'x'.current_setting()", "from pg_catalog.pg_views", "from information_schema.views",
        "from parquet_metadata('{root}/x.parquet')", "select pg_get_viewdef(0)", "pivot Patient on id", "", "   ",
        "explain analyze create table t as select 1", "with q as (select * from read_csv('/etc/passwd')) from q",
        "select (select content from read_blob('/etc/passwd'))", "from sniff_csv('/etc/passwd')", "from Patien",
)  # fmt: skip


def test_what_does_more_than_read_the_tables_is_refused(filled: Shore) -> None:
    for sql in DEEDS:
        code = refused(filled, sql.format(root=filled.root), PHYSICIAN).issues[0].code
        assert code in {"not-supported", "not-found", "invalid"}, sql


def test_the_engine_itself_opens_no_file_but_those_of_its_views(filled: Shore) -> None:
    with sealed(filled.root, Prepared((), ()), Limits()) as duck:
        for sql in (
            f"from read_parquet('{filled.root}/Patient/*.parquet')",
            f"from glob('{filled.root}/*')",
            "from read_text('/etc/passwd')",
            "attach '/tmp/x.db'",
            "set enable_external_access = true",
            "set allowed_paths = ['/']",
            f"copy (select 1) to '{filled.root}/x.csv'",
            "install httpfs",
        ):
            with pytest.raises(Exception, match=r"disabled|locked|Cannot"):
                duck.execute(sql)


def test_names_and_types_of_the_tables_can_be_read(filled: Shore) -> None:
    assert ask(filled, OF_ONE, "show tables") == [("Observation",), ("Patient",)]
    names = "select distinct table_name from information_schema.columns where table_schema = {} order by 1"
    assert ask(filled, OF_ONE, names.format("'main'")) == [("Observation",), ("Patient",)]
    assert ("birthDate", "VARCHAR") in [row[:2] for row in ask(filled, OF_ONE, "describe Patient")]
    assert ask(filled, OF_ONE, "explain select id from Patient")


def test_an_error_has_place_and_cause(filled: Shore) -> None:
    assert "line 2, column 3" in str(refused(filled, "select\n  foo from Patient"))
    assert "line 1, column 1: syntax error" in str(refused(filled, "selec 1"))
    assert "line 1, column 15" in str(refused(filled, "select 'é' || foo from Patient"))
    assert "Did you mean Patient?" in str(refused(filled, "select 1 from Patien"))


def test_an_error_tells_no_value(filled: Shore) -> None:
    for sql in (
        'select cast(name[1]."family" as int) from Patient',
        'select error(name[1]."family") from Patient',
        "select strptime(name[1].\"family\", '%Y') from Patient",
        "select regexp_matches('a', name[1].\"family\" || '(') from Patient",
    ):
        found = refused(filled, sql, PHYSICIAN)
        assert found.issues[0].code == "processing", sql
        assert "Chalmers" not in str(found)


def test_time_rows_and_memory_have_limits(filled: Shore) -> None:
    long = "select count(*) from range(100000000) a, range(100000000) b"
    assert refused(filled, long, seconds=0.5).issues[0].code == "too-costly"
    large = "select list(repeat('x', 1000) || range) from range(3000000)"
    assert refused(filled, large, memory="100MB", spill="1MB").issues[0].code == "too-costly"
    with asked(filled.database, filled.root, OF_ONE, "from range(5000)", None, Limits(rows=3000)) as rows:
        assert (len(list(rows.rows())), rows.is_cut) == (3000, True)
    with asked(filled.database, filled.root, OF_ONE, "from range(3000)", None, Limits(rows=3000)) as rows:
        assert (len(list(rows.rows())), rows.is_cut) == (3000, False)


def test_values_are_given_by_name(filled: Shore) -> None:
    sql = "select id from Observation where id = $id and valueQuantity.value > $least"
    assert ask(filled, OF_ONE, sql, {"id": "o1", "least": 1}) == [("o1",)]
    assert ask(filled, OF_ONE, sql, {"id": "' or 1=1 --", "least": 1}) == []
    assert refused(filled, sql).issues[0].code == "required"


def test_who_sees_the_same_shares_a_file_and_who_sees_more_has_another(filled: Shore) -> None:
    again = Actor("other", frozenset({"physician"}), frozenset({"Patient/p1"}))
    both = Actor("both", frozenset({"physician"}), frozenset({"Patient/p1", "Patient/p2"}))
    counts = [ask(filled, actor, "select count(*) from Patient")[0][0] for actor in (OF_ONE, again, both)]
    assert counts == [1, 1, 2]
    assert len(list((filled.root / "_cuts").glob("Patient-*"))) == 2
