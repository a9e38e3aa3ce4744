from __future__ import annotations

import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.lake.conftest import Shore, observation, patient

from careloom.fhir.outcome import OutcomeError
from careloom.lake import column, compaction, sight
from careloom.lake.build import writing
from careloom.lake.table import Table, tables_of
from careloom.store.database import Database


@pytest.fixture
def busy(shore: Shore) -> list[int]:
    """Sixty transactions in batches of a few rows each; their numbers."""
    chance = random.Random(3)
    txs: list[int] = []
    for turn in range(60):
        ids = chance.sample(range(9), 3)
        txs.append(shore.say(*(patient(f"p{n}", f"{turn}") for n in ids), observation(f"o{turn}")))
        if chance.random() < 0.2:
            txs.append(shore.delete("Patient", f"p{ids[0]}"))
        if turn % 2:
            shore.build()
    shore.build()
    return txs


def parts(shore: Shore, rtype: str) -> list[int]:
    return [part.rows for part in Table(shore.root, rtype).parts()]


def test_small_files_are_gathered_into_one_and_say_the_same(shore: Shore, busy: list[int]) -> None:
    before = [(shore.seen(tx), tx) for tx in busy[::7]]
    assert len(parts(shore, "Observation")) == 30
    with writing(shore.database, shore.root) as writer:
        assert compaction.tidy(writer) == 2
    assert parts(shore, "Observation") == [60]
    assert shore.seen() == shore.replayed(1 << 62)
    assert all(shore.seen(tx) == seen for seen, tx in before)


def test_settling_fills_in_the_ends_of_versions(shore: Shore, busy: list[int]) -> None:
    before = [(shore.seen(tx), tx) for tx in busy[::5]]
    with writing(shore.database, shore.root) as writer:
        assert compaction.settle(writer, "Patient") == sum(parts(shore, "Patient"))
        assert compaction.settle(writer, "Patient") == 0
        assert compaction.settle(writer, "Observation") == 0
    assert shore.lake.sources("Patient").enders() is None
    assert shore.seen() == shore.replayed(1 << 62)
    assert all(shore.seen(tx) == seen == shore.replayed(tx) for seen, tx in before)


def test_what_changes_after_settling_is_ended_again(shore: Shore, busy: list[int]) -> None:
    with writing(shore.database, shore.root) as writer:
        compaction.settle(writer, "Patient")
    tx = shore.say(patient("p1", "new"), patient("p99", "other"))
    shore.delete("Patient", "p2")
    shore.build()
    for again in range(2):
        assert shore.seen() == shore.replayed(1 << 62)
        assert shore.seen(tx) == shore.replayed(tx)
        assert shore.seen(busy[11]) == shore.replayed(busy[11])
        if not again:
            with writing(shore.database, shore.root) as writer:
                assert compaction.settle(writer, "Patient") > 0


def test_a_settled_file_that_nothing_has_ended_is_left_alone(shore: Shore) -> None:
    shore.say(*(patient(f"p{n}") for n in range(100)))
    shore.say(patient("p0", "again"))
    shore.build()
    with writing(shore.database, shore.root) as writer:
        compaction.settle(writer, "Patient")
        (first,) = writer.table("Patient").parts()
        shore.say(patient("p200"))
        shore.say(patient("p200", "again"))
        writer.step()
        assert compaction.settle(writer, "Patient") == 2
        assert first in writer.table("Patient").parts()


def test_rows_are_laid_anew_when_the_shape_has_grown(shore: Shore, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, digest = column.table_schema, column.digest_of

    def small(rtype: str) -> pa.Schema:
        """As if an older careloom knew no column `name`."""
        return pa.schema([field for field in whole(rtype) if field.name != "name"])

    with monkeypatch.context() as older:
        for module in ("intake", "fit", "table", "sight", "compaction"):
            older.setattr(f"careloom.lake.{module}.table_schema", small, raising=False)
            older.setattr(f"careloom.lake.{module}.digest_of", lambda rtype: "0" * 8, raising=False)
        shore.say(patient("p1", "One"), patient("p2", "Two"))
        shore.build()
        shore.delete("Patient", "p2")
        shore.build()
    shore.say(patient("p3", "Three"))
    shore.build()
    # What came since has the column; the rest gets it when it is laid anew.
    assert shore.ask('select id, name[1].family from "Patient" order by id') == [
        ("p1", None),
        ("p3", "Three"),
    ]
    with writing(shore.database, shore.root) as writer:
        assert compaction.relay(writer, "Patient") == 3
        assert compaction.relay(writer, "Patient") == 0
    assert shore.ask('select id, name[1].family from "Patient" order by id') == [
        ("p1", "One"),
        ("p3", "Three"),
    ]
    assert {part.shape for part in Table(shore.root, "Patient").parts()} == {digest("Patient")}
    assert shore.seen() == shore.replayed(1 << 62)


def test_vacuum_deletes_what_no_reader_needs_and_nothing_else(shore: Shore, busy: list[int]) -> None:
    orphan = shore.root / "Patient" / "fed-00000000-left-by-a-killed-writer.parquet"
    orphan.write_bytes(b"half")
    old = set((shore.root / "Patient").glob("*.parquet"))
    with shore.lake.connection() as reader:
        with writing(shore.database, shore.root) as writer:
            compaction.settle(writer, "Patient")
            compaction.vacuum(writer, hours=1)
        # Whoever has opened the lake before goes on reading what it opened.
        assert reader.execute('select count(*) from "Patient"').fetchall()[0][0] > 0
    with writing(shore.database, shore.root) as writer:
        assert compaction.vacuum(writer, hours=0) >= 30
    assert not old & set((shore.root / "Patient").glob("*.parquet"))
    assert shore.seen() == shore.replayed(1 << 62)
    shore.say(patient("p1", "after"))
    shore.build()
    assert shore.seen() == shore.replayed(1 << 62)


def test_a_rewrite_that_would_lose_rows_replaces_nothing(
    shore: Shore, busy: list[int], database: Database
) -> None:
    with writing(database, shore.root) as writer:
        table = writer.table("Patient")
        some = table.parts()
        with pytest.raises(OutcomeError, match="nothing was replaced"):
            compaction._replace(table, some, some[:1])
    assert shore.seen() == shore.replayed(1 << 62)


def test_outlines_and_scratch_are_no_tables(shore: Shore, busy: list[int]) -> None:
    shore.ask('select 1 from "Patient"')
    assert tables_of(shore.root) == ["Observation", "Patient"]
    assert sight.outline(shore.root, "Patient").exists()


def test_files_whose_structs_lack_parts_are_gathered_and_settled(shore: Shore) -> None:
    stay = {"resourceType": "Encounter", "status": "finished", "class": {"code": "IMP"}}
    home = {"hospitalization": {"dischargeDisposition": {"coding": [{"code": "home"}], "text": "Home"}}}
    come = {"hospitalization": {"admitSource": {"coding": [{"system": "urn:s", "userSelected": True}]}}}
    for number, part in enumerate((home, come)):
        shore.say(*(stay | {"id": f"e{number}-{n}"} | (part if n % 3 else {}) for n in range(200)))
        shore.build()
    shore.say(*(stay | {"id": f"e0-{n}"} | come for n in range(50)))
    shore.build()
    before = shore.seen()
    told = shore.ask('select * from "Encounter" order by id')
    with writing(shore.database, shore.root) as writer:
        assert compaction.gather(writer, "Encounter") == 2
        assert compaction.settle(writer, "Encounter") == 450
    assert shore.seen() == before
    assert shore.ask('select * from "Encounter" order by id') == told


def test_a_row_is_rewritten_as_often_as_its_table_doubles(
    shore: Shore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "LITTLE", 5)
    for number in range(200):
        shore.say(*(observation(f"o{3 * number + n}") for n in range(3)))
    rewritten, most = 0, 0
    with writing(shore.database, shore.root) as writer:
        for number in range(1, 201):
            writer.step(3)
            if number % 24 == 0:
                before = set(writer.table("Observation").parts())
                compaction.tidy(writer)
                after = writer.table("Observation").parts()
                rewritten += sum(part.rows for part in after if part not in before)
                most = max(most, len(after))
    # At each turn anew, all rows would be rewritten four and a half times.
    assert rewritten <= 600 * 2.5
    assert most <= 4
    assert shore.ask('select count(*) from "Observation"') == [(600,)]


def test_a_gathered_file_has_one_group_of_rows_with_all_that_any_part_had(shore: Shore) -> None:
    for number in range(3):
        shore.say(
            observation(f"o{number}")
            | ({"note": [{"text": f"{number}"}]} if number % 2 else {"language": "de"})
        )
        shore.build()
    with writing(shore.database, shore.root) as writer:
        assert compaction.gather(writer, "Observation") == 2
    (part,) = Table(shore.root, "Observation").parts()
    assert pq.ParquetFile(shore.root / "Observation" / part.name).num_row_groups == 1
    assert shore.ask('select id, language, note[1].text from "Observation" order by id') == [
        ("o0", "de", None), ("o1", None, "1"), ("o2", "de", None)
    ]  # fmt: skip


def test_whole_settling_lays_all_by_patient_and_joins_small_settled_files(shore: Shore) -> None:
    def pulse(number: int) -> dict[str, object]:
        return observation(f"o{number}") | {"subject": {"reference": f"Patient/{number % 3}"}}

    for turn in range(3):
        shore.say(*(pulse(10 * turn + n) for n in range(10)))
        shore.build()
        with writing(shore.database, shore.root) as writer:
            assert compaction.settle(writer, "Observation") == 0
            assert compaction.settle(writer, "Observation", is_whole=True) == 10 * (turn + 1)
            assert compaction.settle(writer, "Observation", is_whole=True) == 0
    (part,) = Table(shore.root, "Observation").parts()
    rows = pq.read_table(shore.root / "Observation" / part.name, columns=["subject", "seq_from"]).to_pylist()
    found = [(row["subject"]["reference"], row["seq_from"]) for row in rows]
    assert found == sorted(found)
    assert shore.seen() == shore.replayed(1 << 62)


def test_what_is_about_nobody_is_settled_too(shore: Shore) -> None:
    shore.say(*({"resourceType": "Organization", "id": f"g{n}", "name": f"{n}"} for n in range(5)))
    shore.say({"resourceType": "Procedure", "id": "p", "status": "completed"})
    shore.build()
    with writing(shore.database, shore.root) as writer:
        assert compaction.settle(writer, "Organization", is_whole=True) == 5
        assert compaction.settle(writer, "Procedure", is_whole=True) == 1
    assert shore.seen() == shore.replayed(1 << 62)
