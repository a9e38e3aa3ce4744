"""verify.mllp_once: messages over MLLP, engine and whole careloom killed with -9 on the way, every message once.

Room: verify. What is claimed: an AA means that the message is kept and its resources are committed; a sender that
resends what was not answered loses nothing and doubles nothing.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from careloom.connect.mllp_send import Retry, Sender
from careloom.connect.msh import msh_of
from careloom.settings import Settings
from careloom.store.actor import STATION
from careloom.store.events import Filter, events
from careloom.store.read import Reader
from careloom.verify.figure import Figure
from careloom.verify.messages import messages
from careloom.verify.scratch import Careloom, database_of, scratch_home

SOURCE = "verify.ghh"
_PATIENT = Retry(attempts=600, first_s=0.05, most_s=0.5)
_PAGE = 5000


@dataclass(slots=True)
class _Sent:
    """What the senders saw."""

    codes: dict[str, str] = field(default_factory=dict[str, str])
    """Control id -> acknowledgement code."""
    failures: list[str] = field(default_factory=list[str])


def check(settings: Settings, *, count: int = 10_000, connections: int = 4, seed: int = 1) -> list[Figure]:
    """Send `count` messages; kill the engine after a third, everything after two thirds; send all again; compare."""
    del settings  # a scratch home, so that a check never touches the data of a person
    outgoing = messages(count, seed)
    with scratch_home("mllp-once") as home:
        careloom = Careloom(home)
        try:
            sent, seconds = _Sent(), time.perf_counter()
            threads = _send(outgoing, careloom.mllp_port, connections, sent)
            _wait_for(sent, count // 3, threads)
            careloom.kill_engine()
            _wait_for(sent, count * 2 // 3, threads)
            careloom.kill_all_and_restart()
            for thread in threads:
                thread.join()
            seconds = time.perf_counter() - seconds
            again = _Sent()
            for thread in _send(outgoing, careloom.mllp_port, connections, again):
                thread.join()
            return _figures(home, [msh_of(message).control_id for message in outgoing], sent, again, seconds)
        finally:
            careloom.stop()


def _send(outgoing: list[bytes], port: int, connections: int, sent: _Sent) -> list[threading.Thread]:
    def work(share: list[bytes]) -> None:
        with Sender("127.0.0.1", port, retry=_PATIENT) as sender:
            for message in share:
                try:
                    answer = sender.send(message)
                    sent.codes[msh_of(message).control_id] = answer.code if answer else ""
                except Exception as error:  # noqa: BLE001 - a message that nobody took is what is counted
                    sent.failures.append(type(error).__name__)

    # Messages of one person stay on one connection, as they do behind an interface engine.
    shares: list[list[bytes]] = [[] for _ in range(connections)]
    for number, message in enumerate(outgoing):
        shares[number // 4 % connections].append(message)
    threads = [threading.Thread(target=work, args=(share,), daemon=True) for share in shares]
    for thread in threads:
        thread.start()
    return threads


def _wait_for(sent: _Sent, count: int, threads: list[threading.Thread]) -> None:
    while len(sent.codes) < count and any(thread.is_alive() for thread in threads):
        time.sleep(0.005)


def _figures(home: Path, control_ids: list[str], sent: _Sent, again: _Sent, seconds: float) -> list[Figure]:
    database = database_of(home)
    with database.connection() as connection:
        kept = events(connection, STATION, Filter(source=SOURCE), limit=len(control_ids) * 2)
        reader = Reader(connection, STATION)
        versions: Counter[int] = Counter()
        page = reader.history(count=_PAGE)
        versions.update(stored.event_id or 0 for stored in page.versions)
        while page.next:
            page = reader.history(count=_PAGE, cursor=page.next)
            versions.update(stored.event_id or 0 for stored in page.versions)
    database.close()
    times = Counter(event.key for event in kept)
    whole = {event.key for event in kept if event.status == "done" and versions[event.id]}
    accepted = [key for key in control_ids if sent.codes.get(key) == "AA"]
    accepted_again = [key for key in control_ids if again.codes.get(key) == "AA"]
    untrue = len(set(accepted + accepted_again) - whole)
    return [
        Figure(
            check="mllp-once.accepted",
            passed=len(accepted),
            failed=len(control_ids) - len(accepted) + len(sent.failures),
        ),
        Figure(
            check="mllp-once.resent",
            passed=len(accepted_again),
            failed=len(control_ids) - len(accepted_again) + len(again.failures),
        ),
        Figure(check="mllp-once.lost", value=sum(not times[key] for key in control_ids), unit="messages"),
        Figure(check="mllp-once.twice", value=sum(times[key] > 1 for key in control_ids), unit="messages"),
        Figure(check="mllp-once.untrue", value=untrue, unit="acknowledgements"),
        Figure(check="mllp-once.rate", value=round(len(control_ids) / seconds, 1), unit="messages/s"),
    ]
