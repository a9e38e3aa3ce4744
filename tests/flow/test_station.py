"""A station hears each change once, goes on after one that it cannot digest, and cannot feed on itself."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import pytest

from careloom import registry
from careloom.analyze.scores.vitals import PARAMETER
from careloom.fhir.resource import Resource
from careloom.flow import Flow
from careloom.flow.station import Ears, hears
from careloom.settings import Settings
from careloom.store import feed
from careloom.store.actor import STATION, Actor
from careloom.store.aside import asides
from careloom.store.database import Database
from careloom.store.feed import Change
from careloom.store.read import Reader

TYPES = frozenset({"Patient"})
DOCTOR = Actor("dora", frozenset({"physician"}))


def flag_each(change: Change, read: Reader) -> list[Resource]:
    """A station for this test: a Basic for each Patient; a Patient without gender is poison to it."""
    code = {"coding": [{"system": "urn:test", "code": change.resource["gender"]}]}
    subject = {"reference": f"Patient/{change.id}"}
    return [{"resourceType": "Basic", "id": f"of-{change.id}", "code": code, "subject": subject}]


def echo(change: Change, read: Reader) -> list[Resource]:
    """A station for this test that answers each Patient with another version of it."""
    return [change.resource | {"multipleBirthInteger": change.resource.get("multipleBirthInteger", 0) + 1}]


@pytest.fixture
def flow(database: Database, tmp_path, monkeypatch: pytest.MonkeyPatch) -> Flow:
    monkeypatch.setitem(sys.modules, "careloom_test_station", sys.modules[__name__])
    for function in (flag_each, echo):
        monkeypatch.setattr(function, "__module__", "careloom_test_station")
    monkeypatch.setitem(registry.STATIONS, "flag", "careloom_test_station:flag_each")
    monkeypatch.setitem(registry.STATIONS, "echo", "careloom_test_station:echo")
    return Flow(database, Settings(home=tmp_path), lambda: datetime(2026, 3, 1, 12, tzinfo=UTC))


def patient(flow: Flow, id_: str, **more: object) -> None:
    flow.write({"resourceType": "Patient", "id": id_, **more}, DOCTOR)


def basics(flow: Flow) -> list[str]:
    with flow.database.connection() as connection:
        return sorted(basic["id"] for basic in Reader(connection, STATION).find("Basic"))


def test_each_change_is_heard_once(flow: Flow) -> None:
    patient(flow, "a", gender="female")
    assert flow.run_station("flag") == 1
    assert flow.run_station("flag") == 0
    assert basics(flow) == ["of-a"]


def test_what_a_station_cannot_digest_is_set_aside_and_the_rest_goes_on(flow: Flow) -> None:
    patient(flow, "a")
    patient(flow, "b", gender="male")
    flow.run_station("flag")
    assert basics(flow) == ["of-b"]
    with flow.database.connection() as connection:
        (aside,) = asides(connection)
    assert (aside.station, aside.rtype, aside.id) == ("flag", "Patient", "a")


def test_a_derived_resource_leads_to_the_event_that_caused_it(flow: Flow) -> None:
    patient(flow, "a", gender="female")
    flow.run_station("flag")
    with flow.database.connection() as connection:
        read = Reader(connection, STATION)
        assert read.stored("Basic", "of-a").event_id == read.stored("Patient", "a").event_id


def test_an_action_that_feeds_on_itself_is_stopped(flow: Flow) -> None:
    patient(flow, "a", gender="female")
    for _ in range(20):
        flow.run_station("echo")
    with flow.database.connection() as connection:
        assert Reader(connection, STATION).stored("Patient", "a").version < 12
        assert "cause chain" in asides(connection)[0].reason


def test_what_was_made_beside_a_poisoned_change_stands_once(flow: Flow) -> None:
    for name in ("a", "b", "c", "d"):
        patient(flow, name, **({} if name == "c" else {"gender": "male"}))
    assert flow.run_station("flag") == 4
    assert basics(flow) == ["of-a", "of-b", "of-d"]
    with flow.database.connection() as connection:
        assert [Reader(connection, STATION).stored("Basic", f"of-{name}").version for name in "abd"] == [
            1,
            1,
            1,
        ]
        assert [aside.id for aside in asides(connection)] == ["c"]


def touch_of(flow: Flow, name: str) -> tuple[int, int]:
    """The transactions that last wrote and last locked the row of a station."""
    with flow.database.connection() as connection:
        (row,) = connection.execute("select xmin::text, xmax::text from station where name = %s", [name])
    return row


def test_who_finds_nothing_new_writes_nothing_and_looks_at_nothing_twice(flow: Flow) -> None:
    ears = Ears()
    patient(flow, "a", gender="female")
    assert flow.run_station("flag", ears) == 1
    flow.write({"resourceType": "Basic", "id": "x", "code": {"text": "x"}}, DOCTOR)
    with flow.database.connection() as connection:
        stood, before = feed.standing(connection, "flag"), feed.head(connection)
    touched = touch_of(flow, "flag")
    assert [flow.run_station("flag", ears) for _ in range(3)] == [0, 0, 0]
    assert touch_of(flow, "flag") == touched
    assert ears.after("flag", stood) >= before
    patient(flow, "b", gender="female")
    assert flow.run_station("flag", ears) == 1
    assert basics(flow) == ["of-a", "of-b", "x"]


def test_a_station_that_another_engine_moved_goes_on_from_there(flow: Flow) -> None:
    ears, moved = Ears(), feed.Cursor(1 << 40, 0)
    patient(flow, "a", gender="female")
    ears.heard("flag", feed.Cursor(5, 5), moved)
    assert ears.after("flag", feed.START) == feed.START
    assert flow.run_station("flag", ears) == 1


@pytest.mark.parametrize(("system", "code"), PARAMETER)
def test_each_code_of_a_vital_sign_is_among_those_that_news2_hears(system: str, code: str) -> None:
    parameter, codes = hears("news2").coded["Observation"]
    assert parameter == "combo-code"
    assert code in codes
