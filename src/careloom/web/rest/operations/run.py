"""web.rest.operations.run: $run of a ViewDefinition: its rows as CSV, NDJSON, JSON or Parquet, while they are computed.

Room: web. Standard: https://sql-on-fhir.org/ig/OperationDefinition-ViewDefinitionRun.html and
https://build.fhir.org/ig/HL7/sql-on-fhir/operations-common.html

The work is done in a process of its own (lake.errand); what is wrong before the first row is told as an OperationOutcome.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from datetime import datetime
from typing import Any

from starlette.responses import Response, StreamingResponse

from careloom.fhir.instant import interval
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import Resource
from careloom.lake.errand import sent
from careloom.lake.order import MEDIA, SECONDS, TARGET, Form, Order, Wanted
from careloom.settings import lake_root, views_root
from careloom.store.read import Reader
from careloom.web.call import Call
from careloom.web.errors import outcome
from careloom.web.rest.answer import base_of, prefers, warned
from careloom.web.rest.form import taken
from careloom.web.rest.operation import Operation, Parameters, parameters_of

OPERATION = Operation(
    levels=("type", "instance"),
    types=("ViewDefinition",),
    right="sql",
    definition="http://sql-on-fhir.org/OperationDefinition/$run",
    speaks="outcome",
)
VIEW = "ViewDefinition"
SUBJECTS = ("viewReference", "viewCanonical", "viewResource")
KNOWN = {*SUBJECTS, "_format", "header", "_limit", "_since", "patient", "group", "resource", "source"}
MOST_PATIENTS = 10_000

_FORMS: dict[str, Form] = {
    "csv": "csv",
    "text/csv": "csv",
    "ndjson": "ndjson",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/fhir+ndjson": "ndjson",
    "json": "json",
    "application/json": "json",
    "parquet": "parquet",
    "application/vnd.apache.parquet": "parquet",
    "application/octet-stream": "parquet",
}
_ENVELOPES = {"application/fhir+json", "application/fhir+xml"}


def run(call: Call) -> Response:
    """The rows; each use leaves a line in the trail, also one that is refused. A view that cannot be run is answered with 422."""
    spoken = taken(call)
    if spoken is None:
        return outcome([Issue("not-supported", "Send Parameters as application/fhir+json or +xml.")], 415)
    parameters = parameters_of(spoken)
    call.seen("operation", f"{VIEW}/$run")
    _refuse_unknown(call, parameters)
    form = _form(call, parameters)
    if form is None:
        text = "The rows come as they are: accept text/csv, application/x-ndjson, application/json or */*."
        return outcome([Issue("not-supported", text, "Accept")], 406)
    definition = _definition(call, parameters)
    issues = _faults(definition)
    if any(issue.is_error for issue in issues):
        return outcome(issues, 422)
    response = _streamed(call, _order(call, parameters, definition, form))
    response.headers.update(warned(issues))
    return response


def _streamed(call: Call, order: Order) -> Response:
    site = call.site
    packed = order.packed(site.database.url, lake_root(site.settings), call.who)
    with ExitStack() as stack:
        pieces = stack.enter_context(sent(TARGET, packed, SECONDS))
        # What is wrong with the first rows is told as such; later only the break tells it.
        first = next(pieces, b"")
        kept = stack.pop_all()
    return StreamingResponse(_piecewise(kept, first, pieces), 200, media_type=MEDIA[order.wanted.form])


def _piecewise(kept: AbstractContextManager[Any], first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    with kept:
        yield first
        yield from rest


def _refuse_unknown(call: Call, parameters: Parameters) -> None:
    given = {*parameters.values, *parameters.resources}
    if "source" in given:
        text = "There is one source here, the lake of this server: leave `source` out, or send resources as `resource`."
        raise OutcomeError(Issue("not-supported", text, "source"))
    unknown = sorted(given - KNOWN)
    if unknown and prefers(call, "handling") != "lenient":
        raise OutcomeError(
            Issue("not-supported", f"$run does not know {', '.join(unknown)[:200]}.", unknown[0])
        )


def _form(call: Call, parameters: Parameters) -> Form | None:
    """What `_format` says, else Accept, else NDJSON; None where Accept asks for rows within a resource."""
    named = parameters.text("_format").replace(" ", "+")
    accepted = [one.partition(";")[0].strip().lower() for one in call.headers.get("accept", "").split(",")]
    if named:
        form = _FORMS.get(named.partition(";")[0].strip().lower())
        if form is None:
            text = f"The format '{named[:40]}' is not written here: ask for csv, ndjson, json or parquet."
            raise OutcomeError(Issue("not-supported", text, "_format"))
        return form
    for one in accepted:
        if one in _FORMS:
            return _FORMS[one]
    is_envelope = bool(_ENVELOPES & set(accepted)) and not {"*/*", "application/*"} & set(accepted)
    return None if is_envelope else "ndjson"


def _definition(call: Call, parameters: Parameters) -> Resource:
    """The view that is meant. Raises OutcomeError: required, invalid, not-found."""
    from careloom.lake.known import view_of

    inline = parameters.resources.get("viewResource", [])
    if parameters.resource is not None and not parameters.resources:
        inline = [parameters.resource]
    named = [value for name in SUBJECTS[:2] for value in parameters.values.get(name, [])]
    count = len(inline) + len(named)
    if "id" in call.parts:
        if count:
            text = "The address names the view: leave viewReference, viewCanonical and viewResource out."
            raise OutcomeError(Issue("invalid", text, "viewReference"))
        named = [f"{VIEW}/{call.parts['id']}"]
    elif count != 1:
        text = "Name one view: by viewReference, viewCanonical or viewResource."
        raise OutcomeError(Issue("required" if count == 0 else "invalid", text, "viewReference"))
    if inline:
        return inline[0]
    with call.site.database.autocommit() as connection:
        folder = views_root(call.site.settings)
        return view_of(connection, call.who, _address(call, named[0]), folder).definition


def _faults(definition: Resource) -> list[Issue]:
    from careloom.lake.view.check import faults

    return faults(definition)


def _order(call: Call, parameters: Parameters, definition: Resource, form: Form) -> Order:
    wanted = Wanted(form, _header(parameters), _limit(parameters), _since(parameters))
    resources = _resources(parameters)
    patients = _patients(call, parameters)
    if resources is not None and patients is not None:
        text = (
            "patient and group choose from the lake; of resources that are sent, send those that are meant."
        )
        raise OutcomeError(Issue("not-supported", text, "patient"))
    return Order(definition=definition, wanted=wanted, patients=patients, resources=resources)


def _resources(parameters: Parameters) -> list[Resource] | None:
    """Those sent along, Bundles unwrapped; None: the lake is meant."""
    given = parameters.resources.get("resource")
    if given is None:
        return None
    found: list[Resource] = []
    for one in given:
        if one.get("resourceType") != "Bundle":
            found.append(one)
            continue
        entries = one.get("entry", [])
        inner = (
            [each.get("resource") for each in entries if isinstance(each, dict)]
            if isinstance(entries, list)
            else []
        )
        found += [each for each in inner if isinstance(each, dict)]
    return found


def _header(parameters: Parameters) -> bool:
    text = parameters.text("header", "true").lower()
    if text not in {"true", "false"}:
        raise OutcomeError(Issue("value", "header is true or false.", "header"))
    return text == "true"


def _limit(parameters: Parameters) -> int | None:
    text = parameters.text("_limit")
    if text and not (text.isascii() and text.isdecimal() and len(text) <= 18):  # noqa: PLR2004
        raise OutcomeError(Issue("value", "_limit is a whole number, 0 or more.", "_limit"))
    return int(text) if text else None


def _since(parameters: Parameters) -> datetime | None:
    text = parameters.text("_since")
    try:
        return interval(text)[0] if text else None
    except OutcomeError:
        raise OutcomeError(
            Issue("value", "_since is an instant, as 2026-03-01T12:00:00Z.", "_since")
        ) from None


def _patients(call: Call, parameters: Parameters) -> frozenset[str] | None:
    """Those that `patient` and `group` both let through; None: neither is there. Raises OutcomeError: not-found as 400."""
    named = [_address(call, value) for value in parameters.values.get("patient", [])]
    groups = [_address(call, value) for value in parameters.values.get("group", [])]
    if not named and not groups:
        return None
    with call.reader() as reader:
        for name, rtype, told in (("patient", "Patient", named), ("group", "Group", groups)):
            for reference in told:
                _there(reader, name, rtype, reference)
        members = frozenset(one for group in groups for one in _members(reader, group))
    found = members & frozenset(named) if named and groups else members or frozenset(named)
    if len(found) > MOST_PATIENTS:
        raise OutcomeError(
            Issue("too-costly", f"At most {MOST_PATIENTS} patients are chosen at once.", "group")
        )
    return found


def _there(reader: Reader, name: str, rtype: str, reference: str) -> None:
    kind, _, id_ = reference.partition("/")
    if kind != rtype or not id_ or reader.resource(rtype, id_) is None:
        # The parameter is at fault, not the address (operations-common, "Status code for a value that cannot be resolved").
        raise OutcomeError(Issue("value", f"There is no such {rtype}; say {rtype}/id.", name))


def _members(reader: Reader, group: str) -> list[str]:
    resource = reader.resource("Group", group.partition("/")[2]) or {}
    members = [one for one in resource.get("member", []) if not one.get("inactive")]
    found = [str(one.get("entity", {}).get("reference", "")) for one in members]
    return [one for one in found if one.startswith("Patient/")]


def _address(call: Call, value: Any) -> str:
    """A reference or canonical as text; an absolute one to this server as a relative one."""
    told = value.get("reference", "") if isinstance(value, dict) else value
    return str(told).strip().removeprefix(f"{base_of(call)}/")
