"""lake.order: what is asked of a view: on what, how much of it, and in which form; told to a process of its own as JSON.

Room: lake. May import: store.actor, fhir; nothing that knows an engine. Standard:
https://build.fhir.org/ig/HL7/sql-on-fhir/operations-common.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from careloom.fhir.resource import Resource
from careloom.store.actor import Actor

SECONDS = 300.0
"""What a view may take."""
TARGET = "careloom.lake.run:errand"
"""What runs a packed order, for lake.errand."""

Form = Literal["csv", "ndjson", "json", "parquet"]
MEDIA: dict[Form, str] = {
    "csv": "text/csv; charset=utf-8",
    "ndjson": "application/x-ndjson",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
}
"""https://build.fhir.org/ig/HL7/sql-on-fhir/operations-common.html#output-formats"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a view is wanted, and how it is written."""

    form: Form = "ndjson"
    has_header: bool = True
    """Of CSV."""
    limit: int | None = None
    """The most rows."""
    since: datetime | None = None
    """Only of resources that were changed later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked."""

    definition: Resource
    wanted: Wanted
    patients: frozenset[str] | None = None
    """Only what belongs to these (`Patient/7`); None: all."""
    resources: Sequence[Resource] | None = None
    """Run on these; None: on the lake."""

    def packed(self, url: str, root: Path, actor: Actor) -> dict[str, Any]:
        """As JSON, for a process of its own; `unpacked` undoes it."""
        wanted, who = self.wanted, actor
        return {
            "url": url,
            "root": str(root),
            "actor": [who.id, sorted(who.roles), None if who.patients is None else sorted(who.patients)],
            "definition": self.definition,
            "wanted": [
                wanted.form,
                wanted.has_header,
                wanted.limit,
                wanted.since.isoformat() if wanted.since else None,
            ],
            "patients": None if self.patients is None else sorted(self.patients),
            "resources": self.resources,
        }


def unpacked(told: Mapping[str, Any]) -> tuple[str, Path, Actor, Order]:
    """The address of the database, the folder of the lake, for whom, and what."""
    id_, roles, patients = told["actor"]
    form, has_header, limit, since = told["wanted"]
    order = Order(
        definition=told["definition"],
        wanted=Wanted(form, has_header, limit, datetime.fromisoformat(since) if since else None),
        patients=None if told["patients"] is None else frozenset(told["patients"]),
        resources=told["resources"],
    )
    actor = Actor(id_, frozenset(roles), None if patients is None else frozenset(patients))
    return told["url"], Path(told["root"]), actor, order
