"""flow: the loop: the only caller of rooms and the only committer.

An arrival is kept, mapped, validated and committed in one database transaction; every change is offered to every
station; what a station returns is committed with the change as its cause. One file for each way in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from careloom.fhir.resource import Resource
from careloom.flow.arrival import accept, drive
from careloom.flow.interaction import Desk, create, delete, update
from careloom.flow.station import run_station, run_timer
from careloom.flow.transaction import transact
from careloom.settings import Settings
from careloom.store.actor import Actor
from careloom.store.blobs import Blobs
from careloom.store.commit import Committed
from careloom.store.database import Database
from careloom.store.event import Arrival, Receipt


def utc_now() -> datetime:
    """The time of the machine, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Flow:
    """careloom's loop over one database. Safe to share between threads; holds no state of its own."""

    database: Database
    settings: Settings
    clock: Callable[[], datetime] = utc_now

    @property
    def blobs(self) -> Blobs:
        """Where Events lie whose bytes are too many for a row."""
        return Blobs(self.settings.home / "blobs")

    def accept(self, arrival: Arrival) -> Receipt:
        """Keep an arrival, map it, and commit what it states; bad input is kept and quarantined, never raised."""
        return accept(self.database, self.settings, arrival, self.clock())

    def drive(self, event_id: int, actor: Actor) -> Receipt:
        """Map a kept event again (after a fix of the map or of the source's set-up)."""
        return drive(self.database, self.settings, event_id, actor, self.clock())

    def transact(self, body: bytes, actor: Actor, source: str = "") -> bytes:
        """Run a FHIR transaction or batch Bundle; return the response Bundle. Raises OutcomeError."""
        return transact(
            self.database, self.blobs, Arrival(source or actor.id, "fhir", body), actor, self.clock()
        )

    def create(self, rtype: str, body: bytes, actor: Actor) -> Committed:
        """FHIR create."""
        return create(self._desk(actor), rtype, body)

    def update(
        self, rtype: str, id_: str, body: bytes, actor: Actor, *, if_match: int | None = None
    ) -> Committed:
        """FHIR update, or update as create."""
        return update(self._desk(actor), (rtype, id_), body, if_match=if_match)

    def write(self, resource: Resource, actor: Actor) -> Committed:
        """Commit a resource that careloom's own pages changed; its meta.versionId guards against a lost update."""
        version = resource.get("meta", {}).get("versionId")
        key = (resource["resourceType"], resource["id"])
        guard = int(version) if version else None
        return update(self._desk(actor), key, resource, if_match=guard)

    def delete(self, rtype: str, id_: str, actor: Actor, *, if_match: int | None = None) -> Committed:
        """FHIR delete; deleting what is gone already is a success."""
        return delete(self._desk(actor), (rtype, id_), if_match=if_match)

    def run_station(self, name: str) -> int:
        """Offer a station its next changes; return how many it heard (0: it has heard all)."""
        return run_station(self.database, name, self.clock())

    def run_timer(self, name: str) -> int:
        """Ask a timer what is due now; return how many resources changed."""
        return run_timer(self.database, name, self.settings, self.clock())

    def _desk(self, actor: Actor) -> Desk:
        return Desk(self.database, self.blobs, actor, self.clock())
