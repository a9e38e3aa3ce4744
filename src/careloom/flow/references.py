"""flow.references: where the references of a bundle lead: to its other entries, to what a search finds.

Room: flow. Standard: https://hl7.org/fhir/R4/http.html#trules
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import parse_qsl

from careloom.fhir import bundle as bundles
from careloom.fhir import query
from careloom.fhir.bundle import Entry
from careloom.fhir.catalogue import knowing
from careloom.fhir.clause import Criterion
from careloom.fhir.matching import matches
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.query import Query
from careloom.fhir.resource import Resource, loads
from careloom.flow.validity import validate
from careloom.store.read import Reader


class References:
    """Of one bundle, whose entries have their places."""

    def __init__(self, read: Reader, entries: Sequence[Entry], placed: Mapping[int, str], own: str) -> None:
        self._read = read
        self._entries = entries
        self._placed = placed
        self._own = own
        self._targets = bundles.references(entries, placed)
        self._parsed: dict[str, list[tuple[str, Resource]]] = {}

    def rewritten(self, entry: Entry, body: bytes) -> bytes:
        """The body of an entry with its references where they lead. Raises OutcomeError."""
        return bundles.rewrite(body, self.of(body), entry.base, self._own)

    def of(self, body: bytes) -> Mapping[str, str]:
        """What leads where: full URLs, and the conditional references of this body. Raises OutcomeError.

        A conditional reference finds what stands, and what the bundle itself creates or updates; it must find one.
        """
        for reference in bundles.conditional_references(body):
            if reference not in self._targets:
                self._targets[reference] = self._found(reference)
        return self._targets

    def _found(self, reference: str) -> str:
        rtype, _, condition = reference.partition("?")
        sought = search_of(rtype, condition, self._read)
        places = {f"{one.rtype}/{one.id}" for one in self._read.search(replace(sought, count=2)).matches}
        places |= self._within(sought)
        if len(places) != 1:
            how = "matches nothing" if not places else "matches several resources"
            code = "multiple-matches" if places else "processing"
            raise OutcomeError(Issue(code, f"A conditional reference to {rtype} {how}."))
        return places.pop()

    def _within(self, sought: Query) -> set[str]:
        """The places of entries of the bundle that meet the condition; chains lead out of it and are not followed."""
        criteria = [one for one in sought.criteria if isinstance(one, Criterion)]
        if len(criteria) < len(sought.criteria):
            return set()
        with knowing(sought.catalogue):
            return {
                place
                for place, resource in self._of_type(sought.rtype)
                if all(matches(resource, one) for one in criteria)
            }

    def _of_type(self, rtype: str) -> list[tuple[str, Resource]]:
        if rtype not in self._parsed:
            parsed = [
                (self._placed[entry.index], loads(entry.body))
                for entry in self._entries
                if entry.rtype == rtype and entry.body and entry.method in {"POST", "PUT"}
            ]
            # What is not valid is refused when its turn comes; it cannot be asked.
            self._parsed[rtype] = [one for one in parsed if not any(i.is_error for i in validate(one[1]))]
        return self._parsed[rtype]


def found(read: Reader, rtype: str, condition: str, count: int = 2) -> list[str]:
    """The `Type/id` of at most `count` resources that a condition finds. Raises OutcomeError if it says nothing."""
    sought = replace(search_of(rtype, condition, read), count=count)
    return [f"{stored.rtype}/{stored.id}" for stored in read.search(sought).matches]


def search_of(rtype: str, condition: str, read: Reader | None = None) -> Query:
    """The search that a condition is; with a reader also by parameters that its store has beside those of R4. Raises OutcomeError for one that names no parameter with a value."""
    pairs = parse_qsl(condition.removeprefix("?"), keep_blank_values=True)
    sought = (read.asked if read else query.parse)(rtype, pairs, strict=True)
    if not sought.criteria:
        raise OutcomeError(
            Issue("value", f"A condition on {rtype} must name a search parameter with a value.")
        )
    return sought
