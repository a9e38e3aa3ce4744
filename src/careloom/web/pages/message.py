"""web.pages.message: one message: as it came, what became of it, the fate of every field; driven again by who may.

Room: web. May import: store.events, flow (to drive again).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.responses import FileResponse, Response

from careloom.fhir.content import as_json, is_xml
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import Resource, loads
from careloom.store import events
from careloom.store.blobs import Blobs
from careloom.store.event import Event
from careloom.store.ledger import LedgerLine
from careloom.store.read import Reader
from careloom.web.banner import Banner, banner_of
from careloom.web.call import Call
from careloom.web.exhibit import hl7, message_type, plain, resources_of, tree
from careloom.web.pages.messages import STATUSES
from careloom.web.record import message_path, record_of
from careloom.web.road import Road, deed, page
from careloom.web.wording import moment

SHOWN = 6
"""Resources of one message that are shown in full; the others are named."""

NAMED = 60

LINES = 400
"""Lines of the ledger on one page; the others stand on the next."""

FATES = {"mapped": ("mapped", "good"), "kept_raw": ("kept raw", "still"), "rejected": ("rejected", "soon")}


@dataclass(frozen=True, slots=True)
class Head:
    """What stands above."""

    id: int
    source: str
    kind: str
    type: str
    status: str
    code: str
    tone: str
    received: str
    key: str
    size: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Pane:
    """One side: its markup and what it is, in words."""

    html: Markup
    said: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the ledger; `path` is the element it became, "" if it became none."""

    where: str
    said: str
    tone: str
    target: str
    path: str


@dataclass(frozen=True, slots=True)
class Made:
    """One resource that the message stated."""

    title: str
    note: str
    html: Markup
    is_open: bool


@dataclass(frozen=True, slots=True)
class Other:
    """A resource that is only named."""

    title: str
    href: str


def message(call: Call) -> Response:
    """The page."""
    event_id, wanted = _number(call), call.asked("resource")
    with call.site.database.connection() as connection:
        event = events.event(connection, event_id, call.who, _blobs(call))
        lines = events.ledger(connection, event_id, call.who)
        read = Reader(connection, call.who)
        names = _names(event, lines, wanted)
        is_clinical = call.may("clinical.read")
        made = [made for name in names[:SHOWN] if is_clinical and (made := _made(read, name, event_id))]
        patient = _banner(call, read, names) if is_clinical else None
    call.seen("read", f"Event/{event.id}", event_id=event.id)
    start = _start(call, lines, wanted)
    asked = f"{wanted}.{call.asked('path')}" if wanted and call.asked("path") else wanted
    return call.show(
        "message.html",
        event=_head(call, event),
        patient=patient,
        asked=asked,
        issues=event.issues,
        raw=_raw(event, lines, wanted),
        made=made,
        others=[Other(name, message_path(event_id, name, "id")) for name in names[SHOWN:NAMED]],
        more=max(len(names) - NAMED, 0),
        lines=[_line(line) for line in lines[start : start + LINES]],
        ledger_said=_counted(lines),
        ledger_part=f"lines {start + 1:,} to {min(start + LINES, len(lines)):,} of {len(lines):,}",
        earlier=_part(call, start - LINES) if start else "",
        later=_part(call, start + LINES) if start + LINES < len(lines) else "",
        without_ledger="This kind of message has no fields that could be lost: each resource is kept as it came."
        if event.kind == "fhir"
        else "No ledger: the message was not mapped.",
    )


def raw(call: Call) -> Response:
    """The bytes, as they came."""
    with call.site.database.connection() as connection:
        event = events.event(connection, _number(call), call.who, _blobs(call))
        digest = events.digest(connection, event.id)
    call.seen("read", f"Event/{event.id}", event_id=event.id)
    headers = {"Content-Disposition": f'attachment; filename="message-{event.id}.txt"'}
    media = "application/octet-stream"
    if len(event.body) < event.size:
        return FileResponse(_blobs(call).path(digest), media_type=media, headers=headers)
    return Response(event.body, media_type=media, headers=headers)


def drive(call: Call) -> Response:
    """Map it again."""
    receipt = call.site.flow.drive(_number(call), call.who)
    return call.go(f"/messages/{receipt.event_id}")


def _blobs(call: Call) -> Blobs:
    return Blobs(call.site.settings.home / "blobs")


def _number(call: Call) -> int:
    text = call.parts["id"]
    if not text.isdigit() or len(text) > 18:  # noqa: PLR2004 (a bigint)
        raise OutcomeError(Issue("not-found", "A message has a number."))
    return int(text)


def _head(call: Call, event: Event) -> Head:
    title, tone = STATUSES.get(event.status, (event.status, ""))
    received = moment(event.received, call.site.zone, seconds=True)
    size = f"{event.size:,}"
    return Head(
        event.id,
        event.source,
        event.kind,
        message_type(event.body[:512]) if event.kind == "hl7v2" else "",
        title,
        event.status,
        tone,
        received,
        event.key,
        size,
        event.attempts,
    )


def _names(event: Event, lines: tuple[LedgerLine, ...], wanted: str) -> list[str]:
    """The resources that the message stated, the one asked for first."""
    names = resources_of(lines)
    if event.kind == "fhir" and not names:
        names = [f"{one['resourceType']}/{one['id']}" for one in _inside(event) if "id" in one]
    if wanted and wanted not in names:
        names.insert(0, wanted)
    return sorted(names, key=lambda name: name != wanted)


def _inside(event: Event) -> list[Resource]:
    """The resources in a FHIR message: a Bundle's, or itself."""
    try:
        body = loads(as_json(event.body, event.media))
    except OutcomeError:
        return []
    if not isinstance(body, dict):
        return []
    entries = body.get("entry") if body.get("resourceType") == "Bundle" else [{"resource": body}]
    found = [entry.get("resource") for entry in _dicts(entries)]
    return [one for one in _dicts(found) if isinstance(one.get("resourceType"), str)]


def _dicts(values: Any) -> list[dict[str, Any]]:
    """What of a list is an object: a message in quarantine may be anything."""
    return [one for one in values if isinstance(one, dict)] if isinstance(values, list) else []


def _raw(event: Event, lines: tuple[LedgerLine, ...], wanted: str) -> Pane:
    if event.kind == "hl7v2":
        return Pane(*hl7(event.body, {line.where: line.fate for line in lines}))
    if event.kind == "fhir":
        inside = _inside(event)
        found = next((one for one in inside if f"{one['resourceType']}/{one.get('id')}" == wanted), None)
        one = found or next(iter(inside), None)
        if one is not None and one.get("id") and not is_xml(event.body, event.media):
            said = f"FHIR, {len(inside)} {'resource' if len(inside) == 1 else 'resources'}"
            return Pane(Markup('<div class="json">{}</div>').format(tree(one)), said)
    return Pane(plain(event.body), "as text")


def _made(read: Reader, name: str, event_id: int) -> Made | None:
    rtype, _, logical_id = name.partition("/")
    stored = read.stored(rtype, logical_id)
    if stored is None or stored.is_deleted:
        return None
    resource = stored.resource()
    later = (
        ""
        if stored.event_id == event_id
        else f", later changed by message {stored.event_id}"
        if stored.event_id
        else ""
    )
    return Made(
        title=rtype,
        note=f"{logical_id}, version {stored.version}{later}",
        html=tree(resource),
        is_open=True,
    )


def _patient_id(rtype: str, resource: Resource) -> str:
    """The Patient that a resource is about, or ""."""
    if rtype == "Patient":
        return str(resource["id"])
    subject = resource.get("subject") or resource.get("patient") or resource.get("for") or {}
    reference = subject.get("reference", "") if isinstance(subject, dict) else ""
    return reference.removeprefix("Patient/") if reference.startswith("Patient/") else ""


def _banner(call: Call, read: Reader, names: list[str]) -> Banner | None:
    """The banner of whom the message is about, where its first resources say who that is."""
    for name in names[:SHOWN]:
        rtype, _, logical_id = name.partition("/")
        resource = read.resource(rtype, logical_id)
        patient_id = _patient_id(rtype, resource) if resource else ""
        if patient_id and read.resource("Patient", patient_id):
            return banner_of(call, read, record_of(read, patient_id))
    return None


def _start(call: Call, lines: tuple[LedgerLine, ...], wanted: str) -> int:
    """The first line to show: as asked, else on the part that tells of the element that was asked for."""
    text = call.asked("from")
    if text.isdecimal() and len(text) < 9:  # noqa: PLR2004
        return min(int(text), max(len(lines) - 1, 0)) // LINES * LINES
    path = f"{wanted}.{call.asked('path')}"
    exact = (at for at, line in enumerate(lines) if line.target == path)
    about = (at for at, line in enumerate(lines) if wanted and line.target.startswith(f"{wanted}."))
    return next(exact, next(about, 0)) // LINES * LINES


def _part(call: Call, start: int) -> str:
    query = [pair for pair in call.query if pair[0] != "from"]
    return f"{call.path}?{urlencode([*query, ('from', str(max(start, 0)))], safe='/[].')}#ledger"


def _line(line: LedgerLine) -> Line:
    said, tone = FATES[line.fate]
    return Line(line.where, said, tone, line.target, line.target if line.fate == "mapped" else "")


def _counted(lines: tuple[LedgerLine, ...]) -> str:
    counted = Counter(line.fate for line in lines)
    return ", ".join(f"{counted[fate]} {said}" for fate, (said, _) in FATES.items() if counted[fate])


ROADS: tuple[Road, ...] = (
    page("/messages/{id}", "event.read", message),
    page("/messages/{id}/raw", "event.read", raw),
    deed("/messages/{id}/drive", "event.drive", drive),
)
