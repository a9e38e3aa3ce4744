"""web.pages.resource: one resource in the FHIR browser: its JSON, its history, what changed, and who points at it.

Room: web. Access is checked by the same Reader as /fhir. Standard: https://hl7.org/fhir/R4/http.html#history
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.query import parse
from careloom.fhir.resource import Resource
from careloom.store.deed import CREATE
from careloom.store.read import Reader
from careloom.store.stored import Stored
from careloom.web.banner import Banner, banner_of
from careloom.web.call import Call
from careloom.web.hints import pointing_at
from careloom.web.pretty import Changed, compared, lines
from careloom.web.record import message_path, records_of, sourced
from careloom.web.rest.answer import rtype_of
from careloom.web.road import Road, page
from careloom.web.wording import moment, size, source_name

VERSIONS = 50
"""Versions on one page of the history."""

LINES = 1_500
"""Lines of JSON on the page: it stays under 100 KB; the whole stands under /fhir."""


@dataclass(frozen=True, slots=True)
class Head:
    """What stands above."""

    name: str
    rtype: str
    id: str
    href: str
    raw: str
    version: int
    is_current: bool
    is_deleted: bool
    updated: str
    source: str
    size: str
    message: str


@dataclass(frozen=True, slots=True)
class Version:
    """One line of the history."""

    number: int
    what: str
    when: str
    who: str
    href: str
    changes: str
    message: str
    is_shown: bool


@dataclass(frozen=True, slots=True)
class Pointer:
    """How many of a type refer here by one parameter."""

    rtype: str
    parameter: str
    count: int


def resource(call: Call) -> Response:
    """The page: the current version, or `version`; with `against`, what differs from that one."""
    rtype, id_ = rtype_of(call), call.parts["id"]
    with call.reader() as read:
        current = read.stored(rtype, id_)
        if current is None:
            raise OutcomeError(Issue("not-found", "There is no such resource, or your role may not see it."))
        shown = _version(read, current, call.asked("version"))
        before = _version(read, current, call.asked("against")) if call.asked("against") else None
        history = read.history(rtype, id_, count=VERSIONS, cursor=call.asked("older"))
        patient = _banner(call, read, shown)
    call.seen("read" if shown is current else "vread", f"{rtype}/{id_}")
    text = lines(shown.resource()) if not shown.is_deleted else []
    href = f"/browse/{rtype}/{id_}"
    return call.show_as(
        410 if shown.is_deleted else 200,
        "resource.html",
        {
            "head": _head(call, shown, current),
            "patient": patient,
            "json": text[:LINES],
            "left_out": max(len(text) - LINES, 0),
            "is_cut": len(text) > LINES or any(line.is_cut for line in text),
            "changes": _changes(before, shown),
            "against": before.version if before else 0,
            "versions": [_line(call, one, shown) for one in history.versions],
            "older": f"{href}?older={history.next}#history" if history.next else "",
        },
    )


def pointing(call: Call) -> Response:
    """Who refers here: each type and parameter, with a count; only what the actor may see counts."""
    rtype, id_ = rtype_of(call), call.parts["id"]
    found: list[Pointer] = []
    with call.reader() as read:
        if read.stored(rtype, id_) is None:
            raise OutcomeError(Issue("not-found", "There is no such resource, or your role may not see it."))
        for source, parameter in pointing_at(rtype):
            asked = [(parameter.code, f"{rtype}/{id_}"), ("_summary", "count")]
            count = read.search(parse(source, asked, strict=True)).total or 0
            if count:
                found.append(Pointer(source, parameter.code, count))
    call.seen("search-type", rtype, number=len(found))
    found.sort(key=lambda one: (-one.count, one.rtype, one.parameter))
    return call.show("resource_from.html", pointers=found, reference=f"{rtype}/{id_}")


def _version(read: Reader, current: Stored, text: str) -> Stored:
    """The version by its number; "" is the current one."""
    if not text or text == str(current.version):
        return current
    number = int(text) if text.isdecimal() and len(text) < 10 else 0  # noqa: PLR2004 (an integer column)
    found = read.version(current.rtype, current.id, number) if number else None
    if found is None:
        raise OutcomeError(Issue("not-found", "There is no such version."))
    return found


def _head(call: Call, shown: Stored, current: Stored) -> Head:
    address = f"{shown.rtype}/{shown.id}"
    is_current = shown.version == current.version
    return Head(
        name=address,
        rtype=shown.rtype,
        id=shown.id,
        href=f"/browse/{address}",
        raw=f"/fhir/{address}" + ("" if is_current else f"/_history/{shown.version}"),
        version=shown.version,
        is_current=is_current,
        is_deleted=shown.is_deleted,
        updated=moment(shown.last_updated, call.site.zone, seconds=True),
        source=source_name(sourced(shown)) if not shown.is_deleted else shown.actor_id,
        size=size(len(shown.body)),
        message=_message(call, shown),
    )


def _message(call: Call, stored: Stored) -> str:
    if stored.event_id is None or not call.may("event.read"):
        return ""
    return message_path(stored.event_id, f"{stored.rtype}/{stored.id}", "id")


def _line(call: Call, stored: Stored, shown: Stored) -> Version:
    href = f"/browse/{stored.rtype}/{stored.id}?version={stored.version}"
    what = "deleted" if stored.is_deleted else "created" if stored.deed.status == CREATE.status else "updated"
    return Version(
        number=stored.version,
        what=what,
        when=moment(stored.last_updated, call.site.zone, seconds=True),
        who=" by ".join(part for part in (stored.actor_id, stored.agent) if part),
        href=href,
        changes=f"{href}&against={stored.version - 1}#changes" if stored.version > 1 else "",
        message=_message(call, stored),
        is_shown=stored.version == shown.version,
    )


def _changes(before: Stored | None, after: Stored) -> list[Changed] | None:
    """The comparison; a deletion is an empty resource."""
    if before is None:
        return None
    old: Resource = {} if before.is_deleted else before.resource()
    new: Resource = {} if after.is_deleted else after.resource()
    return compared(old, new)


def _banner(call: Call, read: Reader, stored: Stored) -> Banner | None:
    """The banner of whom the resource is about."""
    if stored.is_deleted:
        return None
    body = stored.resource()
    about = [{"reference": f"Patient/{stored.id}"}] if stored.rtype == "Patient" else []
    about += [body.get(name) for name in ("subject", "patient", "for", "beneficiary")]
    references = (str(one.get("reference", "")) for one in about if isinstance(one, dict))
    patient_id = next((one.removeprefix("Patient/") for one in references if one.startswith("Patient/")), "")
    found = records_of(read, [patient_id]).get(patient_id) if patient_id else None
    return banner_of(call, read, found) if found else None


ROADS: tuple[Road, ...] = (
    page("/browse/{rtype}/{id}", "clinical.read", resource),
    page("/browse/{rtype}/{id}/from", "clinical.read", pointing),
)
