"""web.pages.health: does it run: the database, the stations, what arrives and what stands in quarantine.

Room: web. May import: store.health, store.events. It shows counts, and nothing of any patient.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from starlette.responses import Response

from careloom import __version__
from careloom.flow.station import hears
from careloom.lake import manifest
from careloom.registry import STATIONS
from careloom.settings import lake_root
from careloom.store import events, feed, outbox
from careloom.store.aside import Aside, asides
from careloom.store.backup import last_backup
from careloom.store.catalogue import Progress, progress
from careloom.store.database import Connection
from careloom.store.health import MOST_COUNTED, Health, Lag, health
from careloom.store.outbox import Queue
from careloom.web.call import Call
from careloom.web.choice import Choice
from careloom.web.pages.messages import STATUSES
from careloom.web.record import message_path
from careloom.web.road import Road, page
from careloom.web.wording import moment, size, span

SLOW = 500
"""Messages to send on, from which a destination counts as late."""
FULL = 0.9
LATE_S = 60.0
"""Seconds from which a station or a message that waits counts as late."""
BACKUP_LATE = timedelta(days=2)


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
    since: str
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
    latest: str
    """When the last message came."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A search parameter that R4 does not have."""

    code: str
    types: str
    state: str
    tone: str
    far: str


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
        latest = events.latest(connection, call.who) if _may_count(call) else {}
        waiting_s = events.waiting_s(connection, call.now)
        parameters = [_parameter(one) for one in progress(connection)]
        set_aside = asides(connection) if call.may("event.read") else []
        queues = outbox.queues(connection) if _may_count(call) else []
        lake = _lake(call, connection)
    return call.show(
        "health.html",
        gauges=[*_gauges(call, state, counted, waiting_s), lake, *(_forward(queue) for queue in queues)],
        stations=[_station(name, lag) for name, lag in state.behind.items()],
        sources=_sources(call, counted, latest),
        statuses=[Choice(code, title) for code, (title, _) in STATUSES.items()],
        parameters=parameters,
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
    place = next(folder for folder in (home, *home.absolute().parents) if folder.exists())
    disk = shutil.disk_usage(place)
    used = (disk.total - disk.free) / disk.total
    held = sum(count for (_, status), count in counted.items() if status == "quarantined")
    waiting = sum(count for (_, status), count in counted.items() if status == "received")
    share = f"{state.connections} of {state.most_connections} connections"
    return [
        Gauge("Database", "up", share),
        Gauge("Stored", size(state.size_bytes), f"{state.resources:,} resources"),
        Gauge("Disk", f"{used:.0%} used", f"{size(disk.free)} free", "soon" if used > FULL else ""),
        Gauge(
            "Messages", f"{sum(counted.values()):,}", f"from {len({source for source, _ in counted})} sources"
        ),
        Gauge(
            "Waiting",
            f"{waiting:,}",
            f"the oldest for {span(timedelta(seconds=waiting_s))}" if waiting else "all are processed",
            "soon" if waiting_s > LATE_S else "",
        ),
        _backup(call),
        Gauge("Quarantine", f"{held:,}", "needs review" if held else "empty", "soon" if held else ""),
    ]


def _forward(queue: Queue) -> Gauge:
    tone = "soon" if queue.refused or queue.waiting >= SLOW else ""
    return Gauge(
        "To send on", f"{queue.waiting:,}", f"to {queue.destination}, {queue.refused:,} refused", tone
    )


def _lake(call: Call, connection: Connection) -> Gauge:
    """How far the tables of analysis follow the store."""
    published = manifest.read(lake_root(call.site.settings))
    if published is None or published.at is None:
        return Gauge("Lake", "not built", "careloom lake build makes it")
    waiting = feed.ahead(connection, published.cursor)
    age = call.now - published.at
    tables = f"{len(published.versions)} {'table' if len(published.versions) == 1 else 'tables'}"
    return Gauge(
        "Lake",
        f"{waiting:,} behind" if waiting else "fresh",
        f"{tables}, as of {span(age)} ago",
        "soon" if waiting and age.total_seconds() > LATE_S else "",
    )


def _backup(call: Call) -> Gauge:
    last = last_backup(call.site.settings)
    if last is None:
        return Gauge("Last backup", "none yet", "careloom backup PATH makes one", "soon")
    age = call.now - last.made
    tone = "soon" if age > BACKUP_LATE else ""
    return Gauge(
        "Last backup",
        f"{span(age)} ago",
        f"{size(last.size_bytes)}, {moment(last.made, call.site.zone)}",
        tone,
    )


def _station(name: str, lag: Lag) -> Station:
    count = f"{lag.changes:,}" if lag.changes < MOST_COUNTED else f"{MOST_COUNTED:,} or more"
    since = span(timedelta(seconds=lag.seconds)) if lag.changes else ""
    if lag.changes and (lag.seconds >= LATE_S or not lag.has_run):
        state = "behind" if lag.has_run else "has never run: does the engine run?"
        return Station(name, count, since, state, "soon")
    return Station(name, count, since, "working" if lag.changes else "up to date", "good")


def _parameter(one: Progress) -> Parameter:
    definition = one.entry.definition
    tone = {"ready": "good", "failed": "soon"}.get(one.word, "")
    far = "" if one.total is None else f"{one.done:,} of {one.total:,} rows"
    return Parameter(definition.code, ", ".join(base.rtype for base in definition.bases), one.word, tone, far)


def _aside(call: Call, one: Aside) -> SetAside:
    what = f"{one.rtype}/{one.id}"
    href = message_path(one.event_id, what, "id") if one.event_id is not None else ""
    return SetAside(one.station, what, href, one.reason, moment(one.at, call.site.zone))


def _sources(
    call: Call, counted: Mapping[tuple[str, str], int], latest: Mapping[str, datetime]
) -> list[Source]:
    return [
        Source(
            name,
            [
                Cell(
                    counted.get((name, status), 0),
                    f"/messages?{urlencode({'source': name, 'status': status})}",
                )
                for status in STATUSES
            ],
            f"{span(call.now - latest[name])} ago" if name in latest else "",
        )
        for name in sorted({source for source, _ in counted})
    ]


ROADS: tuple[Road, ...] = (page("/health", "page", show),)
