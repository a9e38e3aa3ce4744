"""What was taken in is sent on: in order, at least once, never without having been kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.waiting import WAIT_S

from careloom.connect import mllp
from careloom.connect.deliver import Courier, address_of
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.flow import Flow, delivery
from careloom.settings import Settings
from careloom.store import outbox
from careloom.store.blobs import Blobs
from careloom.store.database import Database
from careloom.store.event import Arrival, Receipt
from careloom.store.turn import turn_held
from careloom.verify.scratch import free_port

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def admission(number: int) -> Arrival:
    body = (
        f"MSH|^~\\&|EHR|WEST|HUB|HUB|20260301115900+0000||ADT^A01^ADT_A01|MSG-{number}|P|2.5\r"
        f"PID|1||47{number}^^^WEST^MR||Zyzzyva^Ada||19800101|F\r"
        f"PV1|1|I|WARD1^101^1^WEST||||||||||||||||V-{number}^^^WEST^VN\r"
    ).encode()
    return Arrival("ehr", "hl7v2", body, f"MSG-{number}")


class Receiver:
    """A real listener that remembers what it took; `verdict` says what becomes of each message."""

    def __init__(self, verdict: Callable[[Arrival], Receipt] | None = None) -> None:
        self.taken: list[str] = []
        self._verdict = verdict

    def accept(self, arrival: Arrival) -> Receipt:
        receipt = self._verdict(arrival) if self._verdict else Receipt(1, "done")
        self.taken.append(arrival.key)
        return receipt


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def flow(database: Database, tmp_path, port: int) -> Flow:
    settings = Settings(home=tmp_path, forward_to=f"mllp://127.0.0.1:{port}")
    return Flow(database, settings, lambda: NOW)


def step(flow: Flow, courier: Courier, now: datetime = NOW) -> float | None:
    (destination,) = delivery.destinations_of(flow.settings)
    return delivery.deliver_next(
        flow.database, Blobs(flow.settings.home / "blobs"), courier, destination, now
    )


def state(flow: Flow, event_id: int) -> outbox.Delivery:
    with flow.database.connection() as connection:
        (only,) = outbox.deliveries(connection, event_id)
        return only


def test_messages_are_sent_on_in_order_and_once(flow: Flow, port: int) -> None:
    events = [flow.accept(admission(number)).event_id for number in range(3)]
    flow.accept(admission(1))
    receiver = Receiver()
    with mllp.listening("127.0.0.1", port, receiver.accept), Courier(flow.settings.forward_to) as courier:
        assert [step(flow, courier) for _ in range(4)] == [0.0, 0.0, 0.0, None]
    assert receiver.taken == ["MSG-0", "MSG-1", "MSG-2"]
    assert {state(flow, event_id).status for event_id in events} == {"delivered"}


def test_what_stands_in_quarantine_is_not_sent_on_until_it_is_taken_in(flow: Flow) -> None:
    flow.accept(Arrival("ehr", "hl7v2", b"PID|no header", "bad"))
    with flow.database.connection() as connection:
        assert outbox.queues(connection) == []


def test_a_receiver_that_is_away_is_asked_again_later_and_the_order_stays(flow: Flow, port: int) -> None:
    for number in range(2):
        flow.accept(admission(number))
    receiver = Receiver()
    with Courier(flow.settings.forward_to, timeout_s=2) as courier:
        assert step(flow, courier) == 0.0
        pause_s = step(flow, courier)
        assert pause_s
        with flow.database.connection() as connection:
            (queue,) = outbox.queues(connection)
        assert (queue.waiting, queue.refused) == (2, 0)
        with mllp.listening("127.0.0.1", port, receiver.accept):
            later = NOW + timedelta(seconds=pause_s)
            assert [step(flow, courier, later) for _ in range(3)] == [0.0, 0.0, None]
    assert receiver.taken == ["MSG-0", "MSG-1"]


def test_a_refused_message_is_shown_and_the_next_one_follows_and_it_can_be_sent_again(
    flow: Flow, port: int
) -> None:
    first, second = (flow.accept(admission(number)).event_id for number in range(2))
    refused = Issue("required", "Not that one.", "PID-3")

    def verdict(arrival: Arrival) -> Receipt:
        if arrival.key == "MSG-0" and "MSG-0" not in receiver.taken:
            return Receipt(1, "quarantined", issues=(refused,))
        return Receipt(1, "done")

    receiver = Receiver(verdict)
    with mllp.listening("127.0.0.1", port, receiver.accept), Courier(flow.settings.forward_to) as courier:
        assert [step(flow, courier) for _ in range(3)] == [0.0, 0.0, None]
        assert (state(flow, first).status, state(flow, first).answer) == ("refused", "AE")
        assert state(flow, second).status == "delivered"
        with flow.database.connection() as connection:
            assert outbox.again(connection, first) == 1
        assert step(flow, courier) == 0.0
    assert state(flow, first).status == "delivered"


def test_a_pause_doubles_up_to_a_minute() -> None:
    parcel = outbox.Parcel(1, 1, 1, NOW)
    pauses = [
        (delivery.due(replace(parcel, attempts=attempts), NOW) - NOW).total_seconds()
        for attempts in (1, 2, 3, 99)
    ]
    assert pauses == [0.5, 1.0, 2.0, 60.0]


def test_one_process_serves_a_destination_and_another_takes_over_when_it_ends(flow: Flow) -> None:
    with turn_held(flow.database, "mllp://a:1") as first:
        assert first
        with (
            turn_held(flow.database, "mllp://a:1") as second,
            turn_held(flow.database, "mllp://b:1") as other,
        ):
            assert (second, other) == (False, True)
    with turn_held(flow.database, "mllp://a:1") as third:
        assert third


def test_the_thread_delivers_what_arrives_and_leaves_when_told(flow: Flow, port: int) -> None:
    receiver, leaving = Receiver(), threading.Event()
    (destination,) = delivery.destinations_of(flow.settings)
    with mllp.listening("127.0.0.1", port, receiver.accept):
        thread = threading.Thread(
            target=delivery.serve,
            args=(flow.database, flow.settings, destination, leaving, lambda: datetime.now(UTC)),
        )
        thread.start()
        flow.accept(admission(7))
        deadline = time.monotonic() + WAIT_S
        while not receiver.taken and time.monotonic() < deadline:
            time.sleep(0.02)
        leaving.set()
        thread.join(WAIT_S)
    assert receiver.taken == ["MSG-7"]
    assert not thread.is_alive()


@pytest.mark.parametrize("text", ["lab:2575", "mllp://lab", "mllp://lab:x", "http://lab:80", "mllp://:1"])
def test_a_destination_that_is_written_wrong_is_refused_with_how_to_write_it(text: str) -> None:
    with pytest.raises(OutcomeError, match="write mllp://host:port"):
        address_of(text)
