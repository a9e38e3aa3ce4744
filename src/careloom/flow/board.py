"""flow.board: how each step of the pipeline stands, from the messages that come to the deliveries that go out.

Room: flow. It shows counts and times, and nothing of any patient; what was set aside has names for who may read messages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial

from careloom.flow.delivery import destinations_of
from careloom.flow.station import hears
from careloom.lake import manifest
from careloom.lake.manifest import Manifest
from careloom.registry import JOBS, STATIONS, STEPS
from careloom.settings import Settings, lake_root
from careloom.store import aside, events, feed, feedcount, jobs, outbox, runs
from careloom.store.actor import Actor
from careloom.store.database import Connection
from careloom.store.feedcount import Waiting
from careloom.store.health import health
from careloom.store.runs import Gate, Outcome, Run

Behind = Callable[[feed.Cursor], dict[str, Waiting]]
"""What waits behind a place of the feed, by type."""
LATE_S = 60.0
"""From here on a step that has something to do counts as late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One step."""

    group: str
    name: str
    behind: int | None = None
    """Changes, messages or versions that it has not taken in; None: it is not told."""
    behind_s: float = 0.0
    """For how long the oldest of these has waited."""
    rows: int | None = None
    """What stands in it."""
    added: int | None = None
    """Of it, what the last run brought, where a run brings only what is new."""
    run: Run | None = None
    """The last one that was recorded."""
    error: str = ""
    gates: Sequence[Gate] = ()
    retries: int = 0
    """How often it was tried, or asked for, in vain since it last went well."""
    set_aside: int = 0
    is_asked: bool = False
    """A run is asked for and has not begun."""
    is_runnable: bool = False

    @property
    def state(self) -> str:
        """In a word: running, asked, failed, behind, or in order."""
        outcome: Outcome | None = self.run.outcome if self.run else None
        if self.is_asked or outcome == "running":
            return "asked" if self.is_asked else "running"
        if self.error or outcome in {"failed", "busy"}:
            return "failed"
        if self.is_runnable and self.run is None:
            return "never run"
        return "behind" if self.behind and self.behind_s > LATE_S else "in order"


def standings(connection: Connection, settings: Settings, actor: Actor, now: datetime) -> list[Standing]:
    """Every step. Raises OutcomeError(forbidden) for who may not see the pages."""
    published = manifest.read(lake_root(settings))
    held = aside.counts(connection)
    # Several steps stand at one place of the feed: what waits behind it is counted once.
    behind: Behind = cache(partial(feedcount.behind, connection))
    return [
        _messages(connection, actor, now),
        *_stations(connection, actor, held),
        *_runnable(connection, published, held, behind, now),
        *_tables(published, behind, now),
        *_jobs(connection),
        *_deliveries(connection, settings, now),
    ]


def _messages(connection: Connection, actor: Actor, now: datetime) -> Standing:
    counted = events.counts(connection, actor)
    by = {
        status: sum(count for (_, one), count in counted.items() if one == status)
        for status in ("received", "quarantined")
    }
    return Standing(
        group="Feed",
        name="messages",
        behind=by["received"],
        behind_s=events.waiting_s(connection, now),
        rows=sum(counted.values()),
        set_aside=by["quarantined"],
    )


def _stations(connection: Connection, actor: Actor, held: dict[str, int]) -> list[Standing]:
    state = health(connection, actor, {name: hears(name) for name in STATIONS})
    return [
        Standing(
            group="Stations",
            name=name,
            behind=lag.changes,
            behind_s=lag.seconds if lag.changes else 0.0,
            set_aside=held.get(name, 0),
            error="" if lag.has_run or not lag.changes else "It has never run: does the engine run?",
        )
        for name, lag in state.behind.items()
    ]


def _runnable(
    connection: Connection, published: Manifest | None, held: dict[str, int], behind: Behind, now: datetime
) -> list[Standing]:
    last = runs.latest(connection, list(STEPS))
    asked = runs.latest(connection, list(STEPS), ["asked"])
    found: list[Standing] = []
    for name in STEPS:
        run = last.get(name)
        # What a run is fresh by is the feed: of the lake's own step that is what is published.
        is_lake = name == "lake"
        cursor = published.cursor if is_lake and published else run.cursor if run else feed.START
        waiting = behind(cursor).values() if run or published else []
        found.append(
            Standing(
                group="Steps",
                name=name,
                behind=sum(each.changes for each in waiting),
                behind_s=_oldest(list(waiting), now),
                rows=sum(published.rows.values()) if is_lake and published else run.rows if run else None,
                added=run.rows if is_lake and run else None,
                run=run,
                error=run.reason if run and run.outcome in {"failed", "busy"} else "",
                gates=run.gates if run and run.gates else _gates(connection, name),
                retries=runs.failures(connection, name),
                set_aside=held.get(name, 0),
                is_asked=name in asked,
                is_runnable=True,
            )
        )
    return found


def _gates(connection: Connection, step: str) -> Sequence[Gate]:
    """Those of the last run that looked at them."""
    return next((run.gates for run in runs.runs(connection, step) if run.gates), ())


def _tables(published: Manifest | None, behind: Behind, now: datetime) -> list[Standing]:
    if published is None:
        return []
    waiting = behind(published.cursor)
    return [
        Standing(
            group="Tables of the lake",
            name=rtype,
            behind=waiting[rtype].changes if rtype in waiting else 0,
            behind_s=_oldest([waiting[rtype]], now) if rtype in waiting else 0.0,
            rows=published.rows.get(rtype),
        )
        for rtype in sorted(published.versions)
    ]


def _oldest(waiting: Sequence[Waiting], now: datetime) -> float:
    return max((max((now - each.since).total_seconds(), 0.0) for each in waiting), default=0.0)


def _jobs(connection: Connection) -> list[Standing]:
    found: list[Standing] = []
    for kind in JOBS:
        known = jobs.jobs(connection, kind)
        if not known:
            continue
        last = known[0]
        failed = last if last.status == "failed" else None
        found.append(
            Standing(
                group="Jobs",
                name=kind,
                behind=sum(job.is_open for job in known),
                rows=last.done,
                error=" ".join(issue.text for issue in failed.issues[:1]) or "It failed." if failed else "",
            )
        )
    return found


def _deliveries(connection: Connection, settings: Settings, now: datetime) -> list[Standing]:
    told = {state.destination: state for state in outbox.states(connection)}
    return [
        Standing(
            group="Deliveries",
            name=name,
            behind=told[name].waiting if name in told else 0,
            behind_s=max((now - oldest).total_seconds(), 0.0)
            if name in told and (oldest := told[name].oldest)
            else 0.0,
            rows=told[name].delivered if name in told else 0,
            error=told[name].trouble if name in told else "",
            retries=told[name].attempts if name in told else 0,
            set_aside=told[name].refused if name in told else 0,
        )
        for name in [
            *destinations_of(settings),
            *(one for one in told if one not in destinations_of(settings)),
        ]
    ]
