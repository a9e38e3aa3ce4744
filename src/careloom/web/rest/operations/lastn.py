"""web.rest.operations.lastn: Observation/$lastn: the most recent observations of each code.

Room: web. Standard: https://hl7.org/fhir/R4/observation-operation-lastn.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from starlette.responses import Response

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import Resource
from careloom.flow.searchset import searchset
from careloom.store.read import Reader
from careloom.store.search import Page
from careloom.store.stored import Stored
from careloom.web.call import Call
from careloom.web.errors import FHIR_JSON
from careloom.web.rest.answer import base_of
from careloom.web.rest.operation import Operation, parameters_of

OPERATION = Operation(levels=("type",), types=("Observation",))
MOST_READ = 50_000
"""Observations that are looked through; a search that finds more is to be narrowed."""


def lastn(call: Call) -> Response:
    """At most `max` (1) observations of each code, the newest first, of those that the search finds."""
    parameters = parameters_of(call)
    pairs = [
        (name, str(value)) for name, values in parameters.values.items() for value in values if name != "max"
    ]
    names = {name.partition(":")[0] for name, _ in pairs}
    if not names & {"patient", "subject"} or not names & {"code", "category"}:
        text = "$lastn needs patient or subject, and category or code."
        raise OutcomeError(Issue("required", text))
    most = parameters.text("max", "1")
    if not (most.isascii() and most.isdecimal()) or not int(most[:9]) > 0:
        raise OutcomeError(Issue("value", "max must be a whole number above 0.", "max"))
    base = base_of(call)
    with call.reader() as reader:
        query = reader.asked("Observation", [*pairs, ("_sort", "-date")], strict=False, base=base)
        kept = list(_latest(_found(reader, replace(query, count=1_000)), int(most[:9])))
    call.seen("operation", "Observation", number=len(kept))
    page = Page(kept, [], len(kept), None, query.ignored)
    return Response(searchset(base, "Observation/$lastn", pairs, query, page), media_type=FHIR_JSON)


def _found(reader: Reader, query: object) -> Iterator[Stored]:
    read = 0
    while True:
        page = reader.search(query)  # pyright: ignore[reportArgumentType]
        yield from page.matches
        read += len(page.matches)
        if page.next is None:
            return
        if read >= MOST_READ:
            raise OutcomeError(Issue("too-costly", "Too many observations: add a date or a code."))
        query = replace(query, cursor=page.next)  # pyright: ignore[reportArgumentType, reportCallIssue]


def _latest(found: Iterator[Stored], most: int) -> Iterator[Stored]:
    """Two are of one code if they share a coding, or a text where they have no coding (transitively)."""
    group_of: dict[tuple[str, str], int] = {}
    counts: dict[int, int] = {}
    for stored in found:
        names = _names(stored.resource())
        known = sorted({group_of[name] for name in names if name in group_of})
        group = known[0] if known else len(counts)
        counts.setdefault(group, 0)
        group_of.update(dict.fromkeys(names, group))
        if counts[group] < most:
            counts[group] += 1
            yield stored


def _names(observation: Resource) -> list[tuple[str, str]]:
    code = observation.get("code", {})
    codings = [
        (one.get("system", ""), one.get("code", "")) for one in code.get("coding", []) if one.get("code")
    ]
    return codings or [("text", str(code.get("text", "")).casefold())]
