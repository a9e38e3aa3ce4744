"""verify.mllp_once: messages over MLLP, careloom killed with -9 on the way, every message once.

Room: verify. What is claimed: an AA means that the message is kept and all that it says is committed; a sender that
resends what was not answered loses nothing and doubles nothing.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from careloom.connect.mllp_send import Retry, Sender
from careloom.connect.msh import msh_of
from careloom.settings import Settings
from careloom.store.actor import STATION
from careloom.store.events import Filter, events
from careloom.store.read import Reader
from careloom.verify.figure import Figure
from careloom.verify.messages import messages
from careloom.verify.progress import Told, progress
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


@dataclass(frozen=True, slots=True)
class _Kept:
    """What the store holds of the messages."""

    times: Counter[str]
    """Control id -> how many events."""
    done: frozenset[str]
    """Control ids of the events that stand as done, and whose resources are there."""
    observations: int


def check(settings: Settings, *, count: int = 10_000, connections: int = 4, seed: int = 1) -> list[Figure]:
    """Send `count` messages; on the way kill everything, the engine, and everything again; then send all once more.

    Figures: accepted, resent, lost, twice, untrue (acknowledgements), observations, two rates: undisturbed (until
    the first kill) and over all, and the CPU time a message until the first kill, all processes together.
    """
    del settings  # a scratch home, so that a check never touches the data of a person
    outgoing = messages(count, seed)
    with scratch_home("mllp-once") as home, progress("mllp-once", count) as told:
        careloom = Careloom(home)
        try:
            send = partial(_send, outgoing, careloom.mllp_port, connections)
            sent, started, cpu = _Sent(), time.perf_counter(), careloom.cpu_seconds()
            threads = send(sent)
            _wait_for(count // 4, sent, threads, told, "sending")
            undisturbed = len(sent.codes) / (time.perf_counter() - started)
            cpu_ms = (careloom.cpu_seconds() - cpu) / len(sent.codes) * 1000
            careloom.kill_all_and_restart()
            _wait_for(count // 2, sent, threads, told, "killed once")
            careloom.kill_engine()
            _wait_for(count * 3 // 4, sent, threads, told, "engine killed")
            careloom.kill_all_and_restart()
            _wait_for(count, sent, threads, told, "killed twice")
            over_all = count / (time.perf_counter() - started)
            again = _Sent()
            _wait_for(count, again, send(again), told, "sending again")
            rates = {"rate": undisturbed, "rate-with-kills": over_all}
            return [
                *_figures(outgoing, (sent, again), _kept(home)),
                *(
                    Figure(check=f"mllp-once.{name}", value=round(rate, 1), unit="messages/s")
                    for name, rate in rates.items()
                ),
                Figure(check="mllp-once.cpu", value=round(cpu_ms, 1), unit="ms of CPU a message"),
            ]
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


def _wait_for(count: int, sent: _Sent, threads: list[threading.Thread], told: Told, what: str) -> None:
    while len(sent.codes) < count and any(thread.is_alive() for thread in threads):
        time.sleep(0.005)
        told(what, len(sent.codes))


def _kept(home: Path) -> _Kept:
    database = database_of(home)
    with database.connection() as connection:
        kept = events(connection, STATION, Filter(source=SOURCE), limit=1_000_000)
        reader = Reader(connection, STATION)
        stated: set[int] = set()
        observations: set[str] = set()
        cursor: str | None = ""
        while cursor is not None:
            page = reader.history(count=_PAGE, cursor=cursor)
            for stored in page.versions:
                if stored.event_id is not None and not stored.depth:  # deeper is what stations made of it
                    stated.add(stored.event_id)
                    observations |= {stored.id} if stored.rtype == "Observation" else set()
            cursor = page.next
    database.close()
    done = frozenset(event.key for event in kept if event.status == "done" and event.id in stated)
    return _Kept(Counter(event.key for event in kept), done, len(observations))


def _figures(outgoing: list[bytes], sendings: tuple[_Sent, _Sent], kept: _Kept) -> list[Figure]:
    keys = [msh_of(message).control_id for message in outgoing]
    observations = sum(message.count(b"\rOBX|") for message in outgoing)
    counts = {
        "lost": (sum(not kept.times[key] for key in keys), "messages"),
        "twice": (sum(kept.times[key] > 1 for key in keys), "messages"),
        "untrue": (sum(_untrue(sent, kept) for sent in sendings), "acknowledgements"),
        "observations-missing": (observations - kept.observations, "resources"),
    }
    return [
        _accepted("accepted", keys, sendings[0]),
        _accepted("resent", keys, sendings[1]),
        *(
            Figure(check=f"mllp-once.{name}", value=value, unit=unit)
            for name, (value, unit) in counts.items()
        ),
    ]


def _accepted(name: str, keys: list[str], sent: _Sent) -> Figure:
    accepted = sum(sent.codes.get(key) == "AA" for key in keys)
    return Figure(check=f"mllp-once.{name}", passed=accepted, failed=len(keys) - accepted)


def _untrue(sent: _Sent, kept: _Kept) -> int:
    """An AA for what does not stand as done is a lie; so is any other answer for what does."""
    return sum((code == "AA") != (key in kept.done) for key, code in sent.codes.items())
