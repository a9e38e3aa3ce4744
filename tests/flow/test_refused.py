"""What the database refuses, or loses in a race, costs no message, no change and no process."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

import pytest

from careloom.flow import Flow
from careloom.settings import Settings
from careloom.store.actor import STATION
from careloom.store.aside import asides
from careloom.store.database import Database
from careloom.store.event import Arrival, Receipt
from careloom.store.read import Reader

HEAD = b"MSH|^~\\&|EHR|WEST|CARELOOM|HUB|20260301115900+0000||ADT^A01^ADT_A01|MSG-%d|P|2.5\rEVN|A01|20260301115900+0000\r"
PID = b"PID|1||4711^^^WEST^MR||Zyzzyva^Ada%s||19800101|F\r"
PV1 = b"PV1|1|I|WARD1^101^1^WEST||||||||||||||||V-1^^^WEST^VN|||||||||||||||||||||||||20260301113000+0000\r"


@pytest.fixture
def flow(database: Database, tmp_path) -> Flow:
    return Flow(database, Settings(home=tmp_path), lambda: datetime(2026, 3, 1, 12, tzinfo=UTC))


def told(flow: Flow, number: int = 1, more: bytes = b"") -> Receipt:
    return flow.accept(Arrival("ehr", "hl7v2", HEAD % number + PID % more + PV1, f"MSG-{number}"))


def run(flow: Flow, statement: str) -> None:
    with flow.database.connection() as connection:
        connection.execute(statement.encode())


def test_a_message_that_the_database_refuses_is_kept_in_quarantine_without_its_values(flow: Flow) -> None:
    run(flow, "ALTER TABLE s_str ADD CONSTRAINT refused CHECK (v <> 'zyzzyva') NOT VALID")
    receipt = told(flow)
    assert receipt.status == "quarantined"
    assert "CheckViolation" in str(receipt.issues)
    assert "zyzzyva" not in str(receipt.issues).lower()
    run(flow, "ALTER TABLE s_str DROP CONSTRAINT refused")
    assert told(flow, 2).status == "done"


def test_a_change_of_which_the_database_refuses_what_a_station_made_is_set_aside(flow: Flow) -> None:
    told(flow)
    run(flow, "ALTER TABLE res ADD CONSTRAINT refused CHECK (depth = 0) NOT VALID")
    while flow.run_station("identity"):
        pass
    with flow.database.connection() as connection:
        (aside, *_) = asides(connection)
    assert aside.station == "identity"
    assert "zyzzyva" not in aside.reason.lower()
    run(flow, "ALTER TABLE res DROP CONSTRAINT refused")
    told(flow, 2, b"^Grace")
    while flow.run_station("identity"):
        pass
    with flow.database.connection() as connection:
        assert Reader(connection, STATION).find("Person")


def test_a_message_that_is_the_victim_of_a_deadlock_is_taken_in_all_the_same(flow: Flow) -> None:
    told(flow)
    with flow.database.connection() as connection:
        keys = [key for (key,) in connection.execute("SELECT key FROM res ORDER BY key")]
    receipts: list[Receipt] = []
    with flow.database.connection() as connection:
        connection.execute("SELECT FROM res WHERE key = %s FOR UPDATE", [keys[-1]])
        teller = threading.Thread(target=lambda: receipts.append(told(flow, 2, b"^Grace")))
        teller.start()
        time.sleep(0.5)
        # Who waits first looks for a deadlock first, and gives way.
        connection.execute("SELECT FROM res WHERE key = ANY(%s) FOR UPDATE", [keys[:-1]])
    teller.join()
    assert receipts[0].status == "done"
