"""A lake beside a fresh database, and a few words to fill and to read both."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from careloom.fhir.resource import Resource
from careloom.lake.build import Told, quiet, writing
from careloom.lake.lake import Lake
from careloom.store.commit import Origin, Write, commit
from careloom.store.database import Database
from careloom.store.feed import START, Cursor, stretch

Holding = dict[tuple[str, str], tuple[int, bytes]]
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Shore:
    """A store and its lake."""

    def __init__(self, database: Database, root: Path) -> None:
        self.database = database
        self.root = root
        self.now = NOW

    def say(self, *resources: Resource, event_id: int | None = None) -> int:
        """Commit resources in one transaction, a second after the last; the transaction's number."""
        self.now += timedelta(seconds=1)
        with self.database.connection() as connection:
            commit(
                connection, [Write(each) for each in resources], Origin(self.now, "ehr", "ehr/1", event_id)
            )
            return connection.execute("select feed_now()").fetchone()[0]

    def delete(self, rtype: str, id_: str) -> int:
        self.now += timedelta(seconds=1)
        with self.database.connection() as connection:
            gone = Write({"resourceType": rtype, "id": id_}, verb="delete")
            commit(connection, [gone], Origin(self.now, "ehr"))
            return connection.execute("select feed_now()").fetchone()[0]

    def build(self, rows: int = 50_000, told: Told = quiet) -> int:
        """Feed the lake with all there is; how many versions came."""
        total = 0
        with writing(self.database, self.root, told) as writer:
            while taken := writer.step(rows):
                total += taken
        return total

    @property
    def lake(self) -> Lake:
        return Lake(self.root)

    def ask(self, sql: str, when: Any = None) -> list[tuple[Any, ...]]:
        with self.lake.connection(when=when) as duck:
            return duck.execute(sql).fetchall()

    def replayed(self, tx: int) -> Holding:
        """Type, id -> version and body as they stood after a transaction, from the store's own tables."""
        return self.replayed_to(Cursor(tx, 1 << 62))

    def replayed_to(self, end: Cursor) -> Holding:
        """The same up to a cursor."""
        found: Holding = {}
        with self.database.connection() as connection:
            for cursor, stored in stretch(connection, START, 1_000_000).versions:
                if cursor <= end:
                    found[stored.rtype, stored.id] = (stored.version, stored.body)
        return {key: value for key, value in found.items() if value[1]}

    def seen(self, when: Any = None) -> Holding:
        """The same, from the lake."""
        found: Holding = {}
        with self.lake.connection(when=when) as duck:
            for rtype in self.lake.types:
                for id_, version, raw in duck.execute(
                    f'select id, version_id, raw from "{rtype}"'
                ).fetchall():
                    assert (rtype, id_) not in found, "a resource stands twice"
                    found[rtype, id_] = (version, raw.encode())
        return found


@pytest.fixture
def shore(database: Database, tmp_path: Path) -> Shore:
    """A fresh store and no lake yet."""
    return Shore(database, tmp_path / "lake")


def patient(id_: str, family: str = "Chalmers") -> Resource:
    return {"resourceType": "Patient", "id": id_, "name": [{"family": family}]}


def observation(id_: str, value: float = 1.5, subject: str = "p1") -> Resource:
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": f"Patient/{subject}"},
        "valueQuantity": {"value": value, "unit": "/min"},
    }
