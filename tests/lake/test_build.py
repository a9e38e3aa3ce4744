from __future__ import annotations

import random
import time
from typing import Any

import pyarrow.parquet as pq
import pytest
import zstandard
from tests.lake.conftest import Shore, observation, patient

from careloom.fhir import resource
from careloom.fhir.outcome import OutcomeError
from careloom.lake import compaction, gate, manifest
from careloom.lake.build import writing
from careloom.lake.table import Table
from careloom.store.aside import asides
from careloom.store.turn import turn_held


def test_what_the_store_has_stands_in_typed_columns(shore: Shore) -> None:
    shore.say(patient("p1", "Chalmers"), observation("o1", 72.5), event_id=7)
    assert shore.build() == 2
    rows = shore.ask(
        "select id, version_id, event_id, agent, valueQuantity.value, valueQuantity.value_text, code.coding[1].code"
        ' from "Observation"'
    )
    assert rows == [("o1", 1, 7, "ehr/1", 72.5, "72.5", "8867-4")]
    assert shore.ask('select name[1].family, raw from "Patient"')[0][0] == "Chalmers"


def test_one_changed_resource_is_one_changed_row(shore: Shore) -> None:
    shore.say(*(observation(f"o{n}") for n in range(500)))
    shore.build()
    before = {part.name: part.rows for part in Table(shore.root, "Observation").parts()}
    shore.say(observation("o7", 99))
    assert shore.build() == 1
    after = {part.name: part.rows for part in Table(shore.root, "Observation").parts()}
    assert [rows for name, rows in after.items() if name not in before] == [1]
    assert before.items() <= after.items()
    assert shore.ask('select count(*), max(valueQuantity.value) from "Observation"') == [(500, 99.0)]


def test_a_deleted_resource_is_gone_and_may_come_again(shore: Shore) -> None:
    shore.say(patient("p1", "One"))
    shore.build()
    shore.delete("Patient", "p1")
    shore.build()
    assert shore.ask('select count(*) from "Patient"') == [(0,)]
    shore.say(patient("p1", "Two"))
    shore.build()
    assert shore.ask('select version_id, name[1].family from "Patient"') == [(3, "Two")]


def test_nothing_new_writes_nothing(shore: Shore) -> None:
    shore.say(patient("p1"))
    shore.build()
    before = manifest.read(shore.root)
    assert shore.build() == 0
    assert manifest.read(shore.root) == before


def test_what_is_published_tells_how_many_rows_each_table_has(shore: Shore) -> None:
    for number in range(3):
        shore.say(patient("p1", f"v{number}"), *(observation(f"o{number}{n}") for n in range(number)))
        shore.build(2)
    with writing(shore.database, shore.root) as writer:
        compaction.settle(writer, "Patient")
        compaction.gather(writer, "Observation")
        shore.delete("Patient", "p1")
        writer.step()
    told = manifest.read(shore.root)
    assert told
    assert told.rows == {"Patient": 4, "Observation": 3} == gate.rows_of(shore.lake)


@pytest.mark.parametrize("rows", [1, 3, 1000])
def test_batches_of_any_size_give_the_same_tables(shore: Shore, rows: int) -> None:
    chance = random.Random(rows)
    for _ in range(12):
        ids = chance.sample(range(6), 3)
        shore.say(*(patient(f"p{n}", str(chance.random())) for n in ids), observation(f"o{ids[0]}", ids[1]))
        if chance.random() < 0.3:
            shore.delete("Patient", f"p{ids[0]}")
    shore.build(rows)
    assert shore.seen() == shore.replayed(1 << 62)


class _Killed(BaseException):
    pass


PHASES = ["reading", "laying Observation", "writing Observation", "committed Observation", "writing Patient",
          "committed Patient", "publishing", "published"]  # fmt: skip


@pytest.mark.parametrize("phase", PHASES)
def test_a_writer_that_dies_in_any_phase_is_taken_over_without_loss_or_doubles(
    shore: Shore, phase: str
) -> None:
    for n in range(8):
        shore.say(patient(f"p{n % 3}", f"v{n}"), observation(f"o{n % 2}", n))

    def die(said: str, done: int) -> None:
        if said == phase and done >= (5 if phase == "published" else 4):
            raise _Killed

    with pytest.raises(_Killed):
        shore.build(4, die)
    # Readers see a whole batch or nothing of it.
    seen = manifest.read(shore.root)
    if seen is not None:
        assert shore.seen() == shore.replayed_to(seen.cursor)
    shore.build(5)
    assert shore.seen() == shore.replayed(1 << 62)
    assert (
        sum(len(pq.read_table(path)) for rtype in ("Patient", "Observation") for path in _files(shore, rtype))
        == 16
    )


def _files(shore: Shore, rtype: str) -> list[str]:
    table = Table(shore.root, rtype)
    return [str(table.folder / part.name) for part in table.parts()]


def test_a_lost_manifest_is_made_anew_from_the_tables(shore: Shore) -> None:
    shore.say(patient("p1", "a"), observation("o1"))
    shore.build()
    shore.say(patient("p1", "b"))
    shore.build()
    (shore.root / manifest.NAME).unlink()
    shore.say(observation("o1", 3))
    shore.build()
    assert shore.seen() == shore.replayed(1 << 62)
    assert sum(part.rows for part in Table(shore.root, "Patient").parts()) == 2


@pytest.mark.parametrize("frame", [b"\x00\xff\x00", zstandard.compress(b'"name":')])
def test_a_poisoned_resource_is_set_aside_and_the_others_come(shore: Shore, frame: bytes) -> None:
    shore.say(patient("p1", "a"), patient("p2", "b"))
    shore.build()
    shore.say(patient("p1", "aa"), patient("p2", "bb"), patient("p3", "c"), event_id=5)
    with shore.database.connection() as connection:
        connection.execute("update res set body = %s where id = 'p2'", [frame])
    assert shore.build() == 3
    assert shore.ask('select id, name[1].family from "Patient" order by id') == [("p1", "aa"), ("p3", "c")]
    with shore.database.connection() as connection:
        (aside,) = asides(connection, station="lake")
    assert (aside.rtype, aside.id, aside.version, aside.event_id) == ("Patient", "p2", 2, 5)
    assert "bb" not in aside.reason


def test_the_version_after_a_poisoned_one_is_current_again(shore: Shore) -> None:
    shore.say(patient("p2", "b"))
    with shore.database.connection() as connection:
        connection.execute("update res set body = %s", [zstandard.compress(b'"name":')])
    shore.build()
    shore.say(patient("p2", "bb"))
    shore.build()
    assert shore.ask('select version_id, name[1].family from "Patient"') == [(2, "bb")]


def test_a_text_that_arrow_cannot_hold_is_set_aside(shore: Shore, monkeypatch: pytest.MonkeyPatch) -> None:
    from careloom.lake import fit, intake

    def loads(raw: bytes) -> Any:
        found = resource.loads(raw)
        # A lone surrogate, as no decoder of JSON lets one through today.
        return found | {"gender": "\ud800"} if found["id"] == "p2" else found

    monkeypatch.setattr(intake, "loads", loads)
    monkeypatch.setattr(fit, "loads", loads)
    shore.say(*(patient(f"p{n}") for n in range(5)))
    shore.build()
    assert shore.ask('select id from "Patient" order by id') == [("p0",), ("p1",), ("p3",), ("p4",)]


def test_the_lake_of_another_store_is_refused_until_it_is_built_anew(shore: Shore) -> None:
    shore.say(patient("p1", "a"))
    shore.build()
    with shore.database.connection() as connection:
        connection.execute("delete from res")
    shore.say(patient("p9", "z"))
    with pytest.raises(OutcomeError, match="--fresh"):
        shore.build()
    with writing(shore.database, shore.root, is_fresh=True) as writer:
        writer.step()
    assert shore.ask('select id from "Patient"') == [("p9",)]


def test_two_processes_never_write_one_lake(shore: Shore) -> None:
    shore.say(patient("p1"))
    with turn_held(shore.database, f"lake {shore.root.resolve()}") as is_ours:
        assert is_ours
        with pytest.raises(OutcomeError, match="Another process"):
            shore.build()


def test_a_transaction_that_commits_late_comes_late_and_comes(shore: Shore) -> None:
    from careloom.store.commit import Origin, Write, commit

    with shore.database.connection() as slow:
        commit(slow, [Write(patient("slow"))], Origin(shore.now, "ehr"))
        shore.say(patient("quick"))
        assert shore.build() == 0
    assert shore.build() == 2
    assert shore.ask('select id from "Patient" order by id') == [("quick",), ("slow",)]


def test_ten_thousand_changes_are_seen_in_ten_seconds(shore: Shore) -> None:
    shore.say(*(observation(f"o{n}", n) for n in range(10_000)))
    began = time.process_time()
    shore.build()
    assert shore.ask('select count(*) from "Observation"') == [(10_000,)]
    # CPU time: others may work on this machine.
    assert time.process_time() - began < 10
