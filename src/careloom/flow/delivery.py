"""flow.delivery: what was promised to other systems is delivered, in order, by one thread for each destination.

Room: flow. A receiver that does not answer is asked again, later and later; meanwhile what comes after waits, for the
order of messages about a person must not change. One that refuses a message has had its say: the next one follows, and
a person sees the refusal.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from careloom.connect.deliver import Courier
from careloom.settings import Settings, listed
from careloom.store import events, outbox
from careloom.store.actor import STATION
from careloom.store.blobs import Blobs
from careloom.store.database import Database
from careloom.store.outbox import Parcel
from careloom.store.turn import turn_held

log = structlog.get_logger()

IDLE_WAIT_S = 1.0
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 60.0


def destinations_of(settings: Settings) -> list[str]:
    """The destinations of the setting forward_to, in its order.

    >>> destinations_of(Settings(forward_to="mllp://a:1, mllp://b:2"))
    ['mllp://a:1', 'mllp://b:2']
    """
    return listed(settings.forward_to)


def serve(
    database: Database,
    settings: Settings,
    destination: str,
    leaving: threading.Event,
    clock: Callable[[], datetime],
) -> None:
    """Deliver to one destination until `leaving` is set. Raises OutcomeError if it is written wrong."""
    blobs = Blobs(settings.home / "blobs")
    with Courier(destination) as courier, database.listen(outbox.CHANNEL) as bell:
        while not leaving.is_set():
            with turn_held(database, f"deliver to {destination}") as is_ours:
                while is_ours and not leaving.is_set():
                    pause_s = deliver_next(database, blobs, courier, destination, clock())
                    if pause_s is None:
                        bell.wait(IDLE_WAIT_S)
                    elif pause_s:
                        leaving.wait(min(pause_s, IDLE_WAIT_S))
            leaving.wait(IDLE_WAIT_S)


def deliver_next(
    database: Database, blobs: Blobs, courier: Courier, destination: str, now: datetime
) -> float | None:
    """Try the parcel that is due. 0: go on; a number of seconds: nothing is due before; None: nothing waits."""
    with database.autocommit() as connection:
        parcel = outbox.first(connection, destination)
        if parcel is None:
            return None
        pause_s = (due(parcel, now) - now).total_seconds()
        if pause_s > 0:
            return pause_s
        event = events.event(connection, parcel.event_id, STATION, blobs)
    # No connection is held while the receiver thinks.
    answer = courier.deliver(event.body)
    status = "delivered" if answer.is_taken else "refused" if answer.is_final else "waiting"
    with database.autocommit() as connection:
        outbox.tried(connection, parcel, status, answer.text, now)
    log.info("event_forwarded", event_id=parcel.event_id, destination=destination, status=status)
    return 0.0


def due(parcel: Parcel, now: datetime) -> datetime:
    """When a parcel is tried (again): at once, after half a second, then twice as long each time, to a minute."""
    if parcel.tried is None:
        return now
    pause_s = min(FIRST_PAUSE_S * 2 ** min(parcel.attempts - 1, 16), LONGEST_PAUSE_S)
    return parcel.tried + timedelta(seconds=pause_s)
