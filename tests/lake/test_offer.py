"""lake.offer, lake.prepared and lake.omop.portion: marts, ready views and the CDM as an actor sees them, in any SQL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.lake.conftest import Shore, observation
from tests.lake.test_omop import person, stay

from careloom.fhir.outcome import OutcomeError
from careloom.fhir.resource import dumps
from careloom.lake.lake import Lake
from careloom.lake.marts.mart import marts
from careloom.lake.offer import offers
from careloom.lake.omop.build import FILE, build
from careloom.lake.ready import ready_views
from careloom.lake.sandbox import asked
from careloom.store.actor import Actor
from careloom.store.database import Database

PHYSICIAN = Actor("dr", frozenset({"physician"}))
OF_ONE = Actor("dr1", frozenset({"physician"}), frozenset({"Patient/p1"}))
INTEGRATION = Actor("etl", frozenset({"integration"}))
RESTRICTED = {
    "security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]
}


@pytest.fixture(scope="module")
def shore(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Shore:
    found = Shore(module_database, Path(tmp_path_factory.mktemp("lake")))
    found.say(person("p1"), person("p2"))
    linked = [{"target": {"reference": f"Patient/p{n}"}} for n in (1, 2)]
    found.say({"resourceType": "Person", "id": "x", "link": linked})
    dated = {"effectiveDateTime": "2025-01-02"}
    found.say(*(one | dated for one in (observation("o1", 2.5), observation("o2", 7.5, "p2"))))
    found.say(observation("o3", 9.5) | dated | {"meta": RESTRICTED})
    found.say(
        stay("e1", "2025-01-01", "2025-01-03"),
        stay("e2", "2025-01-04", "2025-01-09") | {"subject": {"reference": "Patient/p2"}},
    )
    found.build()
    return found


@pytest.fixture(scope="module")
def cdm(shore: Shore) -> Shore:
    build(shore.lake, shore.root / FILE)
    return shore


def ask(shore: Shore, actor: Actor, sql: str) -> list[tuple[Any, ...]]:
    with asked(shore.database, shore.root, actor, sql) as rows:
        return list(rows.rows())


def test_a_view_has_the_rows_that_the_actor_sees(shore: Shore) -> None:
    sql = "select id from views.patient order by id"
    assert ask(shore, PHYSICIAN, sql) == [("p1",), ("p2",)]
    assert ask(shore, OF_ONE, sql) == [("p1",)]
    sql = "select count(*) from views.observation v join Observation o using (id)"
    assert [ask(shore, who, sql) for who in (PHYSICIAN, OF_ONE, INTEGRATION)] == [[(3,)], [(2,)], [(2,)]]


def test_a_view_of_the_store_is_a_table_for_who_may_see_it(shore: Shore) -> None:
    column = [{"name": "key", "path": "id"}, {"name": "born", "path": "birthDate"}]
    view = {
        "resourceType": "ViewDefinition", "id": "mine", "name": "births", "title": "Births", "status": "active",
        "resource": "Patient", "select": [{"column": column}],
    }  # fmt: skip
    shore.say(view)
    assert ask(shore, PHYSICIAN, "select key from views.births order by key") == [("p1",), ("p2",)]
    assert ask(shore, PHYSICIAN, "describe views.births")[0][0] == "key"
    sql = "select table_name from information_schema.tables where table_schema = 'views'"
    assert ("births",) in ask(shore, PHYSICIAN, sql)
    # Who sees some patients sees no ViewDefinition, and so no such table.
    assert ("births",) not in ask(shore, OF_ONE, sql)
    with pytest.raises(OutcomeError, match="no table"):
        ask(shore, OF_ONE, "from views.births")


def test_a_view_of_the_sites_folder_is_a_table_for_everybody(shore: Shore, tmp_path: Path) -> None:
    column = [{"name": "key", "path": "id"}]
    (tmp_path / "mine.json").write_bytes(dumps({"resource": "Patient", "select": [{"column": column}]}))
    at = Lake(shore.root, tmp_path)
    for who, wanted in ((PHYSICIAN, [("p1",), ("p2",)]), (OF_ONE, [("p1",)])):
        with asked(shore.database, at, who, "select key from views.mine order by key") as rows:
            assert list(rows.rows()) == wanted
    assert offers(at)["views.mine"].about == "of the file mine.json"
    (tmp_path / "mine.json").unlink()
    with pytest.raises(OutcomeError, match="no table"), asked(shore.database, at, OF_ONE, "from views.mine"):
        pass


def test_a_mart_is_made_of_the_rows_that_the_actor_sees(shore: Shore) -> None:
    sql = "select person, patients from marts.persons"
    assert ask(shore, PHYSICIAN, sql) == [("Person/x", ["p1", "p2"])]
    assert ask(shore, OF_ONE, sql) == [("Person/x", ["p1"])]
    sql = "select encounters, days from marts.stays join marts.persons using (person) order by admitted_at"
    assert ask(shore, PHYSICIAN, sql) == [(["e1"], 2), (["e2"], 5)]
    assert ask(shore, OF_ONE, sql) == [(["e1"], 2)]
    assert ask(shore, OF_ONE, "select excluded from marts.readmissions") == [(None,)]


@pytest.mark.conformance
def test_the_cdm_of_a_ward_is_built_of_its_rows_and_keeps_the_ids_of_the_whole(cdm: Shore) -> None:
    sql = "select value_as_number, measurement_id from omop.measurement order by 1"
    whole = ask(cdm, PHYSICIAN, sql)
    assert [row[0] for row in whole] == [2.5, 7.5, 9.5]
    part = ask(cdm, OF_ONE, sql)
    assert len(part) == 2
    assert set(part) < set(whole)
    assert len(ask(cdm, INTEGRATION, sql)) == 2
    sql = "select visit_occurrence_id from omop.visit_occurrence"
    assert set(ask(cdm, OF_ONE, sql)) < set(ask(cdm, PHYSICIAN, sql))
    assert ask(cdm, OF_ONE, "select count(*) from omop.concept, omop.cdm_source") == [(0,)]
    assert (
        len(ask(cdm, OF_ONE, "select table_name from information_schema.tables where table_schema = 'omop'"))
        > 30
    )
    described = [row[0] for row in ask(cdm, OF_ONE, "describe omop.person")]
    assert [column.name for column in offers(Lake(cdm.root))["omop.person"].columns] == described
    for sql in ("from cdm.careloom.key", "from cdm.main.person", "from whole.main.person", "from omop.key"):
        with pytest.raises(OutcomeError):
            ask(cdm, PHYSICIAN, sql)


def test_nothing_is_cut_for_a_name_that_is_not_read(shore: Shore) -> None:
    actor = Actor("dr2", frozenset({"physician"}), frozenset({"Patient/p2"}))
    before = set((shore.root / "_cuts").glob("*"))
    names = [row[0] for row in ask(shore, actor, "select table_schema from information_schema.tables")]
    assert {name: names.count(name) for name in ("main", "marts", "views")} == {
        "main": len(shore.lake.types), "marts": 5, "views": len(ready_views()),
    }  # fmt: skip
    assert set((shore.root / "_cuts").glob("*")) == before
    sql = "select t.table_name, count(p.id) from information_schema.tables t, Patient p where t.table_schema = 'marts' group by all order by 1"
    assert len(ask(shore, actor, sql)) == 5


def test_a_name_without_its_schema_is_told_where_it_stands(shore: Shore) -> None:
    for sql, told in (
        ("from persons", "marts.persons"),
        ("from patients", "Patient"),
        ("from views.patien", "views.patient"),
    ):
        with pytest.raises(OutcomeError, match=f"line 1, column 6.*Did you mean {told}"):
            ask(shore, OF_ONE, sql)


def test_the_columns_that_are_told_are_those_that_there_are(shore: Shore) -> None:
    found = offers(Lake(shore.root))
    with marts(shore.lake) as duck:
        for one in found.values():
            if one.group == "marts":
                told = duck.execute(f"describe {one.name}").fetchall()
                assert [(c.name, c.type) for c in one.columns] == [(row[0], row[1].lower()) for row in told]
    for name in ("marts.stays", "views.condition"):
        told = ask(shore, OF_ONE, f"describe {name}")
        assert [column.name for column in found[name].columns] == [row[0] for row in told]
    assert all(one.about for one in found.values())
