"""web.rest.operations.docref: DocumentReference/$docref of US Core: the documents of a patient that stand here.

Room: web. Standard: http://hl7.org/fhir/us/core/STU6.1/OperationDefinition-docref.html
Documents are found and not made: with `on-demand` nothing more is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from starlette.responses import Response

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.flow.searchset import searchset
from careloom.web.call import Call
from careloom.web.errors import FHIR_JSON
from careloom.web.rest.answer import base_of
from careloom.web.rest.operation import Operation, Parameters, parameters_of

OPERATION = Operation(
    levels=("type",),
    types=("DocumentReference",),
    definition="http://hl7.org/fhir/us/core/OperationDefinition/docref",
)
TYPE = "DocumentReference"
KNOWN = frozenset(
    {"patient", "start", "end", "type", "on-demand", "profile", "_format", "_pretty", "_count", "_cursor"}
)


def docref(call: Call) -> Response:
    """A searchset of current documents: those of care between `start` and `end`; without both the newest one."""
    parameters = parameters_of(call)
    unknown = sorted({*parameters.values, *parameters.resources} - KNOWN)
    if unknown:
        raise OutcomeError(
            Issue("not-supported", f"$docref does not know {unknown[0][:64]}.", unknown[0][:64])
        )
    pairs, base = _pairs(parameters), base_of(call)
    with call.reader() as reader:
        query = reader.asked(TYPE, pairs, strict=True, base=base)
        page = reader.search(query)
    call.seen("operation", TYPE, number=len(page.matches))
    return Response(searchset(base, TYPE, pairs, query, page), media_type=FHIR_JSON)


def _pairs(parameters: Parameters) -> list[tuple[str, str]]:
    """The search that the operation is. Raises OutcomeError: required, value."""
    patient = parameters.text("patient").removeprefix("Patient/")
    if not patient:
        raise OutcomeError(Issue("required", "$docref needs the id of a patient.", "patient"))
    pairs = [("patient", f"Patient/{patient}"), ("status", "current"), ("_sort", "-date")]
    for name, prefix in (("start", "ge"), ("end", "le")):
        if parameters.text(name):
            pairs.append(("period", prefix + parameters.text(name)))
    if not any(name == "period" for name, _ in pairs):
        pairs.append(("_count", "1"))
    kinds = [one for value in parameters.values.get("type", []) for one in _tokens(value)]
    pairs += [("type", ",".join(kinds))] if kinds else []
    profiles = parameters.texts("profile")
    return pairs + ([("_profile", ",".join(profiles))] if profiles else [])


def _tokens(value: Any) -> Iterator[str]:
    """`system|code` of a token, a Coding or a CodeableConcept."""
    if not isinstance(value, dict):
        yield str(value)
        return
    for coding in value.get("coding", [value]):
        if isinstance(coding, dict) and "code" in coding:
            yield f"{coding['system']}|{coding['code']}" if "system" in coding else str(coding["code"])
