"""web.rest.form: in what form a body comes and an answer goes: JSON or XML, pretty, whole or in part.

Room: web. Standard: https://hl7.org/fhir/R4/http.html#mime-type and https://hl7.org/fhir/R4/http.html#parameters

An answer that is asked for whole, compact and as JSON passes through untouched: the kept bytes go out as they came.
"""

from __future__ import annotations

from base64 import b64encode
from codecs import BOM_UTF8
from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import parse_qsl

import msgspec
from starlette.responses import Response

from careloom.fhir import xml
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import Resource, dumps, loads
from careloom.fhir.summary import summarised, with_elements
from careloom.web.call import Call
from careloom.web.errors import FHIR_JSON, noted, outcome

Kind = Literal["json", "xml"]
KINDS: tuple[Kind, ...] = ("json", "xml")


@dataclass(frozen=True, slots=True)
class Tongue:
    """One form in which resources travel."""

    media: str
    loads: Callable[[bytes], Resource]
    dumps: Callable[..., bytes]
    """(resource, pretty=) -> bytes"""


def _json(resource: Resource, *, pretty: bool) -> bytes:
    raw = dumps(resource)
    return msgspec.json.format(raw, indent=2) if pretty else raw


TONGUES: dict[Kind, Tongue] = {
    "json": Tongue(FHIR_JSON, loads, _json),
    "xml": Tongue(f"{xml.MEDIA_TYPE}; charset=utf-8", xml.loads, xml.dumps),
}

MEDIA: dict[str, Kind] = {
    "json": "json",
    "application/fhir+json": "json",
    "application/json+fhir": "json",
    "application/json": "json",
    "text/json": "json",
    "xml": "xml",
    "application/fhir+xml": "xml",
    "application/xml+fhir": "xml",
    "application/xml": "xml",
    "text/xml": "xml",
}
"""What a client may call the two forms; the short words are for `_format`."""

ANY = {"*/*", "application/*", "text/html", "application/xhtml+xml", "text/*", "*"}
"""What JSON serves as well: a browser that asks for a page is shown JSON."""

FORM = "application/x-www-form-urlencoded"
JSON_PATCH = "application/json-patch+json"
SECURITY_CONTEXT = "x-security-context"
"""The header that says what a Binary belongs to, which comes and goes as what it is (R4 binary, 2.39.5)."""
CONTROLS = frozenset({"_format", "_pretty", "_summary", "_elements"})
"""Parameters that say how the answer is to be written."""

NDJSON = {"application/fhir+ndjson", "application/ndjson", "ndjson"}
MODES = {"true", "text", "data", "count", "false"}

Handler = Callable[[Call], Response]


@dataclass(frozen=True, slots=True)
class Form:
    """How an answer is to be written."""

    kind: Kind = "json"
    is_pretty: bool = False
    summary: str = ""
    elements: tuple[str, ...] = ()

    @property
    def is_plain(self) -> bool:
        """True if the bytes may go out as they are."""
        return self is PLAIN or self == PLAIN


PLAIN = Form()
IN_XML = Form("xml")


def negotiated(answer: Handler, call: Call) -> Response:
    """Let a handler, which takes and gives JSON, speak with a client in the client's form. Never raises OutcomeError."""
    form = PLAIN
    try:
        call = _spread(call)
        found = asked(call)
        if found is None:
            text = "Ask for application/fhir+json or application/fhir+xml (FHIR 4.0), by Accept or _format."
            return outcome([Issue("not-supported", text)], 406)
        form = found
        spoken = taken(call)
        if spoken is None:
            text = "Send application/fhir+json or application/fhir+xml; a PATCH may be application/json-patch+json."
            return in_form(outcome([Issue("not-supported", text)], 415), form)
        return in_form(answer(spoken), form)
    except OutcomeError as error:
        noted(error, f"{answer.__module__}.{answer.__qualname__}")
        return in_form(outcome(error.issues), replace(form, summary="", elements=()))


def _spread(call: Call) -> Call:
    """A search by POST with its form among the parameters of the address, as if they had stood there."""
    if call.method != "POST" or not call.path.endswith("/_search") or not call.body:
        return call
    if _name(call.headers.get("content-type", "")) != FORM:
        return call
    try:
        form = parse_qsl(call.body.decode(), keep_blank_values=True, max_num_fields=1000)
    except ValueError:
        raise OutcomeError(Issue("invalid", "The parameters of _search cannot be read.")) from None
    return replace(call, query=(*call.query, *form), body=b"")


def asked(call: Call) -> Form | None:
    """The form that `_format` or Accept asks for; None if there is no such form. Raises OutcomeError(value)."""
    kind: Kind | None
    if call.query and not CONTROLS.isdisjoint([name for name, _ in call.query]):
        return _asked(call)
    accept = call.headers.get("accept", "")
    kind = "json" if accept in {"", "*/*"} else _accepted(accept)
    if kind is None:
        return PLAIN if call.parts.get("rtype") == "Binary" else None
    return PLAIN if kind == "json" else IN_XML


def _asked(call: Call) -> Form | None:
    kind: Kind | None
    named = call.asked("_format").replace(" ", "+")
    if named:
        kind = "json" if named in NDJSON else _kind(named)
    else:
        accept = call.headers.get("accept", "")
        kind = "json" if accept in {"", "*/*"} else _accepted(accept)
    if kind is None:
        return PLAIN if call.parts.get("rtype") == "Binary" and not named else None
    summary = call.asked("_summary")
    if summary and summary not in MODES:
        raise OutcomeError(Issue("value", "_summary takes true, text, data, count or false.", "_summary"))
    elements = tuple(name.strip() for name in call.asked("_elements").split(",") if name.strip())
    is_pretty = call.asked("_pretty") == "true"
    return Form(kind, is_pretty, "" if summary in {"false", "count"} else summary, elements)


def is_fhir(call: Call) -> bool:
    """True unless the client asks for something else: the content of a Binary."""
    accept = call.headers.get("accept", "")
    names = {one.partition(";")[0].strip().lower() for one in accept.split(",")}
    return bool(call.asked("_format")) or not names - {"", "*/*"} or bool(names & MEDIA.keys())


def in_form(answer: Response, form: Form) -> Response:
    """The answer written anew in this form, if it is FHIR and need be."""
    if form.is_plain or answer.media_type != FHIR_JSON or not answer.body:
        return answer
    resource = loads(bytes(answer.body))
    if answer.status_code < 300:  # noqa: PLR2004
        resource = _part(resource, form)
    tongue = TONGUES[form.kind]
    body = tongue.dumps(resource, pretty=form.is_pretty)
    headers = {name: value for name, value in answer.headers.items() if name not in _OF_THE_BODY}
    return Response(body, answer.status_code, headers, tongue.media)


_OF_THE_BODY = {"content-length", "content-type"}


def _part(resource: Resource, form: Form) -> Resource:
    if not (form.summary or form.elements):
        return resource
    if resource["resourceType"] == "Bundle" and resource.get("type") in {"searchset", "history"}:
        entries = [_entry_part(entry, form) for entry in resource.get("entry", [])]
        return resource | ({"entry": entries} if entries else {})
    if resource["resourceType"] in {"OperationOutcome", "CapabilityStatement"} and not form.summary:
        return resource
    part = summarised(resource, form.summary)
    return with_elements(part, form.elements) if form.elements else part


def _entry_part(entry: dict[str, Any], form: Form) -> dict[str, Any]:
    if "resource" not in entry or entry.get("search", {}).get("mode") == "outcome":
        return entry
    part = summarised(entry["resource"], form.summary)
    return entry | {"resource": with_elements(part, form.elements) if form.elements else part}


@lru_cache(maxsize=256)
def _kind(media: str) -> Kind | None:
    name, *options = (part.strip() for part in media.lower().split(";"))
    for option in options:
        key, _, value = option.partition("=")
        if key.strip() == "fhirversion" and not value.strip('" ').startswith("4.0"):
            return None
    kind = MEDIA.get(name) or ("json" if name in ANY or name in NDJSON else None)
    return kind if kind in TONGUES else None


@lru_cache(maxsize=256)
def _accepted(accept: str) -> Kind | None:
    """The form of the highest q that is ours; of equal ones the first (RFC 9110, 12.5.1)."""
    best: tuple[float, Kind] | None = None
    is_browser = "text/html" in accept
    refused = {_kind(one) for one in accept.split(",") if _weight(one) == 0 and _name(one) not in ANY}
    for one in accept.split(","):
        kind, weight = _kind(one), _weight(one)
        if _name(one) in ANY and kind in refused:
            kind = _other(refused)
        if kind and is_browser and one.strip().lower().startswith(("application/xml", "application/xhtml")):
            continue
        if kind and weight > 0 and (best is None or weight > best[0]):
            best = weight, kind
    return best[1] if best else None


def _other(refused: Container[Kind | None]) -> Kind | None:
    """What will do for who takes anything but these."""
    for kind in KINDS:
        if kind not in refused:
            return kind
    return None


def _name(media: str) -> str:
    return media.partition(";")[0].strip().lower()


def _weight(media: str) -> float:
    for option in media.split(";")[1:]:
        key, _, value = option.strip().partition("=")
        if key.lower() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def taken(call: Call) -> Call | None:
    """The call with its body as JSON; None if the body's type is not ours."""
    if not call.body:
        return call
    if call.body.startswith(BOM_UTF8):
        # JSON has no byte order mark, and a reader may overlook one (RFC 8259, 8.1).
        call = replace(call, body=call.body.removeprefix(BOM_UTF8), sent=call.body)
    media = call.headers.get("content-type", "")
    name = media.partition(";")[0].strip().lower()
    if name in {FORM, JSON_PATCH, *NDJSON} or not name:
        return call
    kind = _kind(media) if name in MEDIA else None
    if kind is None:
        return _wrapped(call, name)
    return (
        call if kind == "json" else replace(call, body=dumps(TONGUES[kind].loads(call.body)), sent=call.body)
    )


def _wrapped(call: Call, media: str) -> Call | None:
    """A Binary may be sent as what it is (R4 binary, 2.39.5)."""
    if call.parts.get("rtype") != "Binary" or call.method not in {"POST", "PUT"}:
        return None
    binary: Resource = {"resourceType": "Binary", "contentType": media, "data": b64encode(call.body).decode()}
    if "id" in call.parts:
        binary["id"] = call.parts["id"]
    context = call.headers.get(SECURITY_CONTEXT, "").strip()
    if context:
        binary["securityContext"] = {"reference": context}
    return replace(call, body=dumps(binary), sent=call.body)
