"""store.actor: for whom a read is opened, and what that role may see. Denied by default.

Room: store. May import: fhir. Every path (search, include, history, pages, stream) reads as an actor.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from careloom.fhir.outcome import Issue, OutcomeError


@dataclass(frozen=True, slots=True)
class Actor:
    """A person, system or station. `patients` None: all; else only these compartments (`Patient/7`)."""

    id: str
    roles: frozenset[str] = field(default_factory=frozenset)
    patients: frozenset[str] | None = None


ROLES: dict[str, frozenset[str]] = {
    "nurse": frozenset({"clinical.read", "task.write", "event.read", "page"}),
    "physician": frozenset({"clinical.read", "clinical.write", "task.write", "event.read", "page", "sql"}),
    "integration": frozenset(
        {
            "event.read",
            "event.write",
            "event.drive",
            "clinical.read",
            "clinical.write",
            "bulk",
            "page",
            "sql",
            "pipeline.drive",
        }
    ),
    "admin": frozenset({"account.write", "system.read", "audit.read", "page", "pipeline.drive"}),
    "source": frozenset({"event.write", "clinical.read", "clinical.write", "bulk"}),
    "station": frozenset({"clinical.read", "clinical.write", "task.write", "event.read", "sql"}),
}
"""What each role may do; a role that is not listed may do nothing."""

STATION = Actor("careloom", frozenset({"station"}))
"""careloom itself: identity, scores, rules."""


def may(actor: Actor, right: str) -> bool:
    """True if one of the actor's roles holds the right.

    >>> may(Actor("a", frozenset({"admin"})), "clinical.read")
    False
    """
    return right in _rights(actor.roles)


def refuse_sql(actor: Actor) -> None:
    """Raise OutcomeError(forbidden) for who may not ask in SQL."""
    if not (may(actor, "sql") and may(actor, "clinical.read")):
        text = "Your role may not ask in SQL: that is for physicians and for integration."
        raise OutcomeError(Issue("forbidden", text))


@lru_cache(maxsize=256)
def _rights(roles: frozenset[str]) -> frozenset[str]:
    return frozenset[str]().union(*(ROLES.get(role, frozenset()) for role in roles))
