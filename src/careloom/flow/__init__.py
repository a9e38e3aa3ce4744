"""flow: the loop: the only caller of rooms and the only committer.

An arrival is kept, mapped, validated and committed in one database transaction; every change is offered to every
station; what a station returns is committed with the change as its cause. One file for each way in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from careloom.fhir.etag import etag
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.profile import Profiles
from careloom.fhir.resource import Resource, dumps, reference_to
from careloom.flow.arrival import accept, drive
from careloom.flow.bulk import WHOLE, Shape, begin_export, begin_import
from careloom.flow.bulk_expiry import expire
from careloom.flow.guides import demand_of, profiles_of
from careloom.flow.interaction import NO_GUARD, Came, Desk, Guard, arrival_of, interact
from careloom.flow.job import run_job
from careloom.flow.report import run_reports
from careloom.flow.station import Ears, run_station, run_timer
from careloom.flow.transaction import Answer, no_answer, transact
from careloom.settings import Settings
from careloom.store import report_runs
from careloom.store.actor import Actor
from careloom.store.blobs import Blob, Blobs
from careloom.store.commit import Committed
from careloom.store.database import Database
from careloom.store.event import Arrival, Receipt
from careloom.store.snapshot import Scope


def utc_now() -> datetime:
    """The time of the machine, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Flow:
    """careloom's loop over one database. Safe to share between threads; holds no state of its own."""

    database: Database
    settings: Settings
    clock: Callable[[], datetime] = utc_now

    def __post_init__(self) -> None:
        """Settings that name a guide or profile that is not there are refused before anything comes in."""
        demand_of(self.settings)

    @property
    def blobs(self) -> Blobs:
        """Where Events lie whose bytes are too many for a row."""
        return Blobs(self.settings.home / "blobs")

    @property
    def profiles(self) -> Profiles:
        """The profiles of the guides that the settings name, for $validate."""
        return profiles_of(self.settings)

    def accept(self, arrival: Arrival) -> Receipt:
        """Keep an arrival, map it, and commit what it states; bad input is kept and quarantined, never raised."""
        return accept(self.database, self.settings, arrival, self.clock())

    def drive(self, event_id: int, actor: Actor) -> Receipt:
        """Map a kept event again (after a fix of the map or of the source's set-up).

        An import is begun again as a job; its receipt says `received`.
        """
        return drive(self.database, self.settings, event_id, actor, self.clock())

    def transact(
        self, body: bytes, actor: Actor, came: Came | None = None, answer: Answer = no_answer
    ) -> bytes:
        """Run a FHIR transaction or batch Bundle; return the response Bundle. Raises OutcomeError.

        `answer` gives the response entry of what reads or operates, in the transaction that it is handed.
        """
        arrival = arrival_of(actor.id, "POST", came or Came(body))
        return transact(self._desk(actor, came), body, arrival, answer)

    def create(self, rtype: str, body: bytes, actor: Actor) -> Committed:
        """FHIR create, without a condition."""
        return self._done(actor, "POST", rtype, body)

    def update(
        self, rtype: str, id_: str, body: bytes, actor: Actor, *, if_match: int | None = None
    ) -> Committed:
        """FHIR update, or update as create."""
        return self._done(actor, "PUT", f"{rtype}/{id_}", body, if_match)

    def write(self, resource: Resource, actor: Actor) -> Committed:
        """Commit a resource that careloom's own pages changed; its meta.versionId guards against a lost update."""
        version = resource.get("meta", {}).get("versionId")
        guard = int(version) if version else None
        return self._done(actor, "PUT", reference_to(resource), dumps(resource), guard)

    def delete(self, rtype: str, id_: str, actor: Actor, *, if_match: int | None = None) -> Committed:
        """FHIR delete; deleting what is gone already is a success."""
        return self._done(actor, "DELETE", f"{rtype}/{id_}", b"", if_match)

    def interact(
        self,
        method: str,
        url: str,
        actor: Actor,
        body: bytes = b"",
        guard: Guard = NO_GUARD,
        came: Came | None = None,
    ) -> Committed | None:
        """Any single FHIR interaction that writes; `url` is `Type`, `Type/id` or `Type?condition`.

        `came` is the body as it was sent, where that was not JSON.
        """
        return interact(self._desk(actor, came), method, url, body, guard, came)

    def run_station(self, name: str, ears: Ears | None = None) -> int:
        """Offer a station its next changes; return how many it heard (0: it has heard all). `ears`: of who asks often."""
        return run_station(self.database, name, self.clock(), ears)

    def run_timer(self, name: str) -> int:
        """Ask a timer what is due now; return how many resources changed."""
        return run_timer(self.database, name, self.settings, self.clock())

    def export(self, actor: Actor, url: str, scope: Scope, shape: Shape = WHOLE) -> str:
        """Begin a bulk export of the store as it is now; the id of the job."""
        return begin_export(self._desk(actor), url, scope, shape)

    def import_ndjson(self, actor: Actor, url: str, blob: Blob) -> str:
        """Begin an import of NDJSON that lies among `blobs`; the id of the job."""
        return begin_import(self._desk(actor), url, blob)

    def expire(self) -> int:
        """Remove the outcomes of bulk jobs, and the results of reports, whose time is over; how many."""
        with self.database.connection() as connection:
            gone = report_runs.forget(connection, self.clock())
        return gone + expire(self.database, self.settings, self.clock())

    def run_reports(self) -> int:
        """Run the saved report that is due for longest; 0: none is."""
        return run_reports(self.database, self.settings, self.clock)

    def run_job(self) -> int:
        """Do one step of the job that waited longest; 0: there is nothing to do now."""
        return run_job(self.database, self.settings, self.clock())

    def _done(
        self, actor: Actor, method: str, url: str, body: bytes, if_match: int | None = None
    ) -> Committed:
        guard = Guard(if_match="" if if_match is None else etag(if_match))
        done = self.interact(method, url, actor, body, guard)
        if done is None:
            raise OutcomeError(Issue("exception", "An unconditional interaction gave nothing."))
        return done

    def _desk(self, actor: Actor, came: Came | None = None) -> Desk:
        desk = Desk(self.database, self.blobs, actor, self.clock(), demand_of(self.settings))
        return desk if came is None else replace(desk, base=came.base, returns=came.returns)
