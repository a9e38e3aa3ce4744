"""unify.identity.steward: what a named person ruled about two Patients: append-only, and obeyed.

Room: unify. May import: fhir. A ruling is a Basic resource; the latest of a pair counts, none is ever changed.
Standard: https://hl7.org/fhir/R4/basic.html; docs/decisions/0007-identity-in-resources.md says why.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast, get_args
from uuid import NAMESPACE_URL, uuid5

from careloom.fhir.instant import instant
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import Resource

Kind = Literal["must_link", "never_link", "withdrawn"]

BASIC = "urn:careloom:basic"
DECISION = "identity-decision"
PATIENT = "urn:careloom:identity-patient"
"""Identifier system under which the rulings about a Patient are found: its value is the Patient's id."""
_URL = "urn:careloom:identity-decision"
_FROM_SOURCE = "urn:careloom:source:"


@dataclass(frozen=True, slots=True)
class Ruling:
    """What was ruled of two Patients (ids), when; `id` breaks ties."""

    kind: Kind
    one: str
    two: str
    at: str
    id: str

    @property
    def pair(self) -> tuple[str, str]:
        """The two, in one order."""
        return min(self.one, self.two), max(self.one, self.two)


def ruling(kind: Kind, pair: tuple[str, str], author: dict[str, Any], reason: str, now: datetime) -> Resource:
    """The Basic to commit when a person says that two Patients are one, are two, or takes back what was said.

    `pair` holds ids of Patients; `author` is a Reference to who rules, with a display. Raises OutcomeError(invalid)
    without a named author, or when the two are the same.
    """
    one, two = sorted(pair)
    if one == two:
        raise OutcomeError(Issue("invalid", "A ruling is about two different patients.", "Basic.subject"))
    if not author.get("display"):
        raise OutcomeError(
            Issue("required", "A ruling needs the name of the person who made it.", "Basic.author")
        )
    at = instant(now)
    return {
        "resourceType": "Basic",
        "id": str(uuid5(NAMESPACE_URL, f"{_URL}:{kind}:{one}:{two}:{at}")),
        "meta": {"tag": [{"system": BASIC, "code": DECISION}]},
        "extension": [
            {
                "url": _URL,
                "extension": [
                    {"url": "kind", "valueCode": kind},
                    {"url": "one", "valueReference": {"reference": f"Patient/{one}"}},
                    {"url": "two", "valueReference": {"reference": f"Patient/{two}"}},
                    {"url": "at", "valueInstant": at},
                    {"url": "reason", "valueString": reason or "none given"},
                ],
            }
        ],
        "identifier": [{"system": PATIENT, "value": one}, {"system": PATIENT, "value": two}],
        "code": {"coding": [{"system": BASIC, "code": DECISION}]},
        "subject": {"reference": f"Patient/{one}"},
        "created": at[:10],
        "author": author,
    }


def ruling_of(basic: Resource) -> Ruling | None:
    """Read a ruling; None for any other Basic, and for one that a source system sent: only people rule."""
    source = str(basic.get("meta", {}).get("source", ""))
    if (
        code_of(basic) != DECISION
        or source.startswith(_FROM_SOURCE)
        or not basic.get("author", {}).get("display")
    ):
        return None
    parts: dict[str, Any] = {
        part["url"]: part
        for whole in basic.get("extension", [])
        if whole.get("url") == _URL
        for part in whole.get("extension", [])
    }
    if not {"kind", "one", "two", "at"} <= parts.keys() or parts["kind"].get("valueCode") not in get_args(
        Kind
    ):
        return None
    one, two = (str(parts[side]["valueReference"]["reference"]).rpartition("/")[2] for side in ("one", "two"))
    kind = cast("Kind", parts["kind"]["valueCode"])
    return Ruling(kind, one, two, str(parts["at"]["valueInstant"]), str(basic["id"]))


def code_of(basic: Resource) -> str:
    """The careloom code of a Basic, or nothing."""
    codings = basic.get("code", {}).get("coding", [])
    return next((str(coding["code"]) for coding in codings if coding.get("system") == BASIC), "")


def in_force(rulings: Iterable[Ruling]) -> dict[tuple[str, str], Ruling]:
    """The latest ruling of each pair; one that was withdrawn leaves none."""
    latest: dict[tuple[str, str], Ruling] = {}
    for each in sorted(rulings, key=lambda each: (each.at, each.id)):
        latest[each.pair] = each
    return {pair: each for pair, each in latest.items() if each.kind != "withdrawn"}
