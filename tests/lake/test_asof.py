from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.lake.conftest import Shore, observation, patient

from careloom.fhir.outcome import OutcomeError
from careloom.store.actor import Actor
from careloom.store.read import Reader, Window


def live(shore: Shore) -> list[int]:
    chance = random.Random(11)
    txs: list[int] = []
    for turn in range(40):
        txs.append(shore.say(*(patient(f"p{n}", f"{turn}") for n in chance.sample(range(7), 2))))
        if turn % 5 == 4:
            txs.append(shore.delete("Patient", f"p{chance.randrange(7)}"))
        if turn % 7 == 0:
            txs.append(shore.say(observation(f"o{turn % 3}", turn)))
            shore.build()
    shore.build()
    return txs


def test_as_of_a_transaction_equals_a_replay_to_it(shore: Shore) -> None:
    txs = live(shore)
    for tx in [txs[0] - 1, *txs[::3], txs[-1]]:
        assert shore.seen(tx) == shore.replayed(tx)
    assert shore.seen(txs[-1]) == shore.seen()


def test_as_of_a_time_equals_the_history_of_the_store_at_that_time(shore: Shore) -> None:
    live(shore)
    begun = shore.now - timedelta(seconds=55)
    for second in range(0, 56, 3):
        when = begun + timedelta(seconds=second)
        with shore.database.connection() as connection:
            at = Window(at=(when, when + timedelta(microseconds=1)))
            page = Reader(connection, Actor("x", frozenset({"station"}))).history("", "", at, count=1000)
        told = {(one.rtype, one.id): (one.version, one.body) for one in page.versions if not one.is_deleted}
        assert shore.seen(when) == told


def test_two_versions_of_one_transaction_are_one_step(shore: Shore) -> None:
    from careloom.store.commit import Origin, Write, commit

    with shore.database.connection() as connection:
        commit(connection, [Write(patient("p1", "a"))], Origin(shore.now, "ehr"))
        commit(connection, [Write(patient("p1", "b"))], Origin(shore.now, "ehr"))
        tx = connection.execute("select feed_now()").fetchone()[0]
    shore.build(1)
    assert shore.ask('select name[1].family from "Patient"', tx) == [("b",)]
    assert shore.ask('select name[1].family from "Patient"') == [("b",)]


def test_a_transaction_that_the_lake_has_not_seen_is_refused(shore: Shore) -> None:
    tx = shore.say(patient("p1"))
    shore.build()
    with pytest.raises(OutcomeError, match="ask for an earlier one"):
        shore.lake.asof(tx + 1_000_000)


def test_a_table_that_is_not_there_is_named_with_those_that_are(shore: Shore) -> None:
    shore.say(patient("p1"))
    shore.build()
    with pytest.raises(OutcomeError, match="there are: Patient"):
        shore.lake.connection(types=["Observation"])


def test_without_a_lake_one_is_told_how_to_make_it(shore: Shore) -> None:
    with pytest.raises(OutcomeError, match="careloom lake build"):
        shore.lake.connection()


@pytest.mark.parametrize(
    "actor",
    [
        Actor("x"),
        Actor("admin", frozenset({"admin"})),
        Actor("dr", frozenset({"physician"}), frozenset({"Patient/p1"})),
    ],
)
def test_who_may_not_see_everything_sees_nothing(shore: Shore, actor: Actor) -> None:
    shore.say(patient("p1"))
    shore.build()
    with pytest.raises(OutcomeError, match="clinical data only"):
        shore.lake.connection(actor)


def test_a_view_has_every_column_of_the_shape_though_no_file_has_it(shore: Shore) -> None:
    shore.say(patient("p1"))
    shore.build()
    assert shore.ask('select deceasedDateTime, contact[1].name.family from "Patient"') == [(None, None)]


def test_times_come_back_as_they_were(shore: Shore) -> None:
    shore.say(patient("p1"))
    shore.build()
    ((stamp,),) = shore.ask('select epoch_ms(last_updated) from "Patient"')
    assert stamp == int(shore.now.timestamp() * 1000)
    assert isinstance(shore.now, datetime)


def test_a_struct_may_lack_parts_in_some_files_at_any_depth(shore: Shore) -> None:
    stay = {"resourceType": "Encounter", "status": "finished", "class": {"code": "IMP"}}
    parts: list[dict[str, Any]] = [
        {"hospitalization": {"dischargeDisposition": {"coding": [{"code": "home"}], "text": "Home"}}},
        {"hospitalization": {"admitSource": {"coding": [{"system": "urn:s", "userSelected": True}]}}},
        {"location": [{"location": {"reference": "Location/1"}}]},
        {
            "location": [{"period": {"start": "2026"}}],
            "hospitalization": {"preAdmissionIdentifier": {"value": "7"}},
        },
    ]
    for number, part in enumerate(parts):
        shore.say(stay | {"id": f"e{number}"} | part)
        shore.build()
    # Many that are alike are laid down as references to one value.
    shore.say(*(stay | {"id": f"f{number}"} | parts[0] for number in range(200) if number % 3))
    shore.say(*(stay | {"id": f"g{number}"} for number in range(200)))
    shore.build()
    found = shore.ask('select * from "Encounter" order by id')
    assert len(found) == len(parts) + 133 + 200
    told = shore.ask(
        "select hospitalization.dischargeDisposition.text, hospitalization.admitSource.coding[1].userSelected,"
        ' location[1].location.reference, hospitalization.preAdmissionIdentifier.value from "Encounter" order by id'
    )
    assert told[4:] == [("Home", None, None, None)] * 133 + [(None,) * 4] * 200
    assert told[:4] == [
        ("Home", None, None, None),
        (None, True, None, None),
        (None, None, "Location/1", None),
        (None, None, None, "7"),
    ]
