"""The hospital speaks through the front doors; what it says becomes valid resources, one person, scores and a Task."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from careloom.connect.mllp import listening
from careloom.demo import hospital
from careloom.demo.bundles import NUMBER
from careloom.demo.chronicle import Message, Pen, chronicle
from careloom.demo.course import town
from careloom.demo.live import Clock, live
from careloom.fhir.outcome import OutcomeError
from careloom.fhir.resource import Resource
from careloom.flow import Flow
from careloom.registry import STATIONS
from careloom.settings import Settings
from careloom.store import accounts, events
from careloom.store.actor import STATION, Actor
from careloom.store.database import Database
from careloom.store.event import Arrival
from careloom.store.read import Reader
from careloom.store.score import NEWS2, reading

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CLINIC = Actor("clinic", frozenset({"source"}))


class Careloom:
    """careloom behind its front doors, with a clock that the test moves."""

    def __init__(self, database: Database, home: Any) -> None:
        self.now = NOW
        self.database = database
        self.flow = Flow(database, Settings(home=home), lambda: self.now)
        self.fates: Counter[str] = Counter()

    def hear(self, message: Message) -> None:
        if message.system == "clinic":
            self.flow.transact(message.body, CLINIC)
            return
        key = message.body.split(b"|")[9].decode()
        receipt = self.flow.accept(Arrival(message.system, "hl7v2", message.body, key, self.now))
        self.fates[receipt.status] += 1

    def work(self) -> None:
        while sum(self.flow.run_station(name) for name in STATIONS):
            pass

    def find(self, rtype: str, *pairs: tuple[str, str], sort: str = "") -> list[Resource]:
        with self.database.connection() as connection:
            return Reader(connection, STATION).find(rtype, *pairs, count=5000, sort=sort)


@pytest.fixture
def careloom(database: Database, tmp_path: Any) -> Careloom:
    return Careloom(database, tmp_path)


def test_the_star_becomes_one_person_and_her_decline_becomes_one_task_that_climbs(careloom: Careloom):
    clock = Clock(NOW, 60)
    place = town(7, 20, clock.at(0))
    pen = Pen(NOW)
    for message in chronicle(place, pen):
        careloom.hear(message)
    careloom.work()
    assert careloom.fates["quarantined"] == 2
    (star,) = careloom.find("Patient", ("identifier", f"{NUMBER}|{place.registrations[1]['clinic'].number}"))
    (person,) = careloom.find("Person", ("link", f"Patient/{star['id']}"))
    patients = ",".join(link["target"]["reference"] for link in person["link"])
    assert patients.count("Patient/") == 3

    for offset_s, message in live(place, clock, pen):
        if offset_s > 100:
            break
        careloom.now = NOW + timedelta(seconds=offset_s)
        careloom.hear(message)
        careloom.work()
    assert careloom.fates["quarantined"] == 3
    scores = careloom.find("Observation", ("code", "|".join(NEWS2)), ("subject", patients), sort="date")
    assert [reading(score).points for score in scores[-8:]] == [0, 0, 2, 3, 5, 7, 10, 17]
    assert all(reading(score).is_complete for score in scores)
    (task,) = careloom.find("Task", ("subject", patients))
    assert (task["priority"], task["status"]) == ("stat", "requested")
    assert [note["text"] for note in task["note"]] == [
        "Opened: NEWS2 5.",
        "Worsened: NEWS2 7.",
        "Worsened: NEWS2 10.",
        "Worsened: NEWS2 17.",
    ]
    careloom.now = datetime.fromisoformat(task["restriction"]["period"]["start"]) + timedelta(minutes=5)
    assert careloom.flow.run_timer("escalation") >= 1
    assert careloom.flow.run_timer("escalation") == 0
    assert careloom.find("Task", ("subject", patients))[0]["performerType"][0]["text"] == "Physician"
    with careloom.database.connection() as connection:
        assert connection.execute("select count(*) from set_aside").fetchone() == (0,)


def test_it_tells_its_history_over_real_sockets_lives_and_stops_when_told(served: Any, tmp_path: Any):
    with served.database.connection() as connection:
        token = accounts.create_token(connection, "clinic", ["source"])
    stop = threading.Event()
    told: list[tuple[int, int]] = []
    with listening("127.0.0.1", 0, served.flow.accept) as port:
        settings = replace(served.settings, port=int(served.url.rsplit(":", 1)[1]), mllp_port=port)
        options: dict[str, Any] = {"people": 3, "seed": 7, "token": token, "stop": stop}
        thread = threading.Thread(
            target=lambda: hospital.run(settings, progress=lambda *step: told.append(step), **options)
        )
        thread.start()
        give_up_at = time.monotonic() + 60
        while len(counts(served.database)) < 3 or sum(counts(served.database).values()) <= told[-1][1]:
            assert time.monotonic() < give_up_at
            time.sleep(0.2)
        stop.set()
        thread.join(20)
        assert not thread.is_alive()
    assert told[-1][0] == told[-1][1] == len(told)
    assert set(counts(served.database)) >= {"ehr", "lab", "clinic"}


def test_a_hospital_without_a_listener_to_speak_to_says_so():
    with pytest.raises(OutcomeError, match="set mllp_port"):
        hospital.run(Settings(mllp_port=0), token="t")


def counts(database: Database) -> Counter[str]:
    with database.connection() as connection:
        found: Counter[str] = Counter()
        for (source, _), number in events.counts(connection, STATION).items():
            found[source] += number
        return found
