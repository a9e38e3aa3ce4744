"""web.road: one address of the server: its path, who may walk it, and the function that answers.

Room: web. May import: store.actor. Nothing is open by default: a road names a right of `store.actor.ROLES`, or says
PUBLIC in so many words; `routes.checked` refuses to start otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from starlette.responses import Response

from careloom.store.actor import ROLES
from careloom.web.call import Call

Handler = Callable[[Call], Response]

PUBLIC = "public"
"""The right of a road that anybody may walk: the sign-in page and the liveness probe, nothing else."""

RIGHTS = frozenset({PUBLIC}).union(*ROLES.values())
"""Every right there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Road:
    """One path with its methods.

    `speaks`: how a failure is told, as a page or as an OperationOutcome; `fhir` also takes and gives JSON and XML.
    """

    path: str
    right: str
    """One that the caller must have, or several with | between, of which one is enough."""
    answer: Handler
    methods: tuple[str, ...] = ("GET",)
    speaks: Literal["page", "outcome", "fhir"] = "page"
    before: Handler | None = None
    """Set, the body may be of any size: this is asked before it is read, refuses by raising, and then the body is spooled
    to a blob."""
    interactions: tuple[str, ...] = ()
    """What it is in the words of the CapabilityStatement (`read`, `search-type`)."""
    is_brief: bool = False
    """True if it asks the store by `Call.glance` and nothing else: it may be answered at the door (web.door), before all
    roads that are not brief, and without a body."""


def page(path: str, right: str, answer: Handler) -> Road:
    """A page that is read."""
    return Road(path=path, right=right, answer=answer)


def deed(path: str, right: str, answer: Handler) -> Road:
    """A form that is posted."""
    return Road(path=path, right=right, answer=answer, methods=("POST",))
