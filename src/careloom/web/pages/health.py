"""web.pages.health: does it run: the database, the stations, what arrives and what stands in quarantine.

Room: web. May import: store.health, store.events. It shows counts, and nothing of any patient.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.responses import Response

from careloom import __version__
from careloom.flow.station import hears
from careloom.registry import STATIONS
from careloom.store import events, outbox
from careloom.store.aside import Aside, asides
from careloom.store.health import MOST_COUNTED, Health, health
from careloom.store.outbox import Queue
from careloom.web.call import Call
from careloom.web.choice import Choice
from careloom.web.pages.messages import STATUSES
from careloom.web.record import message_path
from careloom.web.road import Road, page
from careloom.web.wording import moment, size

SLOW = 500
"""Changes behind, from which a station counts as late."""
FULL = 0.9
LATE_S = 60


@dataclass(frozen=True, slots=True)
class Gauge:
    """One number on top."""

    label: str
    value: str
    note: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Station:
    """One station's lag."""

    name: str
    behind: str
    state: str
    tone: str


@dataclass(frozen=True, slots=True)
class Cell:
    """Messages of one source in one status."""

    count: int
    href: str


@dataclass(frozen=True, slots=True)
class Source:
    """One source's counts."""

    name: str
    cells: list[Cell]


@dataclass(frozen=True, slots=True)
class SetAside:
    """A change that a station could not digest."""

    station: str
    what: str
    href: str
    reason: str
    when: str


def show(call: Call) -> Response:
    """The page."""
    with call.site.database.connection() as connection:
        state = health(connection, call.who, {name: hears(name) for name in STATIONS})
        counted = events.counts(connection, call.who) if _may_count(call) else {}
        waiting_s = events.waiting_s(connection, call.now)
        set_aside = asides(connection) if call.may("event.read") else []
        queues = outbox.queues(connection) if _may_count(call) else []
    return call.show(
        "health.html",
        gauges=_gauges(call, state, counted, waiting_s) + [_forward(queue) for queue in queues],
        stations=[_station(name, behind) for name, behind in state.behind.items()],
        sources=_sources(counted),
        statuses=[Choice(code, title) for code, (title, _) in STATUSES.items()],
        set_aside=[_aside(call, one) for one in set_aside],
        may_browse=call.may("event.read"),
        versions=[
            Choice("careloom", __version__),
            Choice("PostgreSQL", state.version),
            Choice("Python", platform.python_version()),
            Choice("FHIR", "R4 (4.0.1)"),
        ],
        as_of=moment(call.now, call.site.zone),
    )


def _may_count(call: Call) -> bool:
    return call.may("event.read") or call.may("system.read")


def _gauges(
    call: Call, state: Health, counted: Mapping[tuple[str, str], int], waiting_s: float
) -> list[Gauge]:
    home = call.site.settings.home
    disk = shutil.disk_usage(home if home.exists() else "/")
    used = (disk.total - disk.free) / disk.total
    held = sum(count for (_, status), count in counted.items() if status == "quarantined")
    waiting = sum(count for (_, status), count in counted.items() if status == "received")
    share = f"{state.connections} of {state.most_connections} connections"
    return [
        Gauge("Database", "answers", share),
        Gauge("Stored", size(state.size_bytes), f"{state.resources:,} resources"),
        Gauge("Disk", f"{used:.0%} used", f"{size(disk.free)} free", "soon" if used > FULL else ""),
        Gauge(
            "Messages", f"{sum(counted.values()):,}", f"from {len({source for source, _ in counted})} sources"
        ),
        Gauge(
            "Waiting",
            f"{waiting:,}",
            f"the oldest for {waiting_s:.0f} s",
            "soon" if waiting_s > LATE_S else "",
        ),
        Gauge("Quarantine", f"{held:,}", "a person must look" if held else "empty", "soon" if held else ""),
    ]


def _forward(queue: Queue) -> Gauge:
    tone = "soon" if queue.refused or queue.waiting >= SLOW else ""
    return Gauge(
        "To send on", f"{queue.waiting:,}", f"to {queue.destination}, {queue.refused:,} refused", tone
    )


def _station(name: str, behind: int) -> Station:
    count = f"{behind:,}" if behind < MOST_COUNTED else f"{MOST_COUNTED:,} or more"
    if behind >= SLOW:
        return Station(name, count, "behind", "soon")
    return Station(name, count, "up to date" if behind == 0 else "working", "good")


def _aside(call: Call, one: Aside) -> SetAside:
    what = f"{one.rtype}/{one.id}"
    href = message_path(one.event_id, what, "id") if one.event_id is not None else ""
    return SetAside(one.station, what, href, one.reason, moment(one.at, call.site.zone))


def _sources(counted: Mapping[tuple[str, str], int]) -> list[Source]:
    names = sorted({source for source, _ in counted})
    return [
        Source(
            name,
            [
                Cell(counted.get((name, status), 0), f"/messages?source={name}&status={status}")
                for status in STATUSES
            ],
        )
        for name in names
    ]


ROADS: tuple[Road, ...] = (page("/health", "page", show),)
