"""web.exhibit: raw messages and resources laid out so that every field and every element can be pointed at.

Room: web. May import: fhir, unify.hl7v2. Each leaf carries its address: `data-where` (PID-5[1].2) in a message,
`data-path` (Patient/7.name[0].family) in a resource; message.js lights what belongs together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from markupsafe import Markup, escape

from careloom.fhir.outcome import OutcomeError
from careloom.fhir.resource import Resource, reference_to
from careloom.store.ledger import LedgerLine
from careloom.unify.hl7v2.message import Message, parse

MAX_LEAVES = 600
"""A resource with more is cut: a page stays under 100 KB, and the whole stands under /fhir."""

MAX_TEXT = 60_000

MSH_9 = 8
"""Where the type of a message stands among the fields of its header: MSH-1 is the separator itself."""


def hl7(body: bytes, fates: Mapping[str, str]) -> tuple[Markup, str]:
    """A message as segments and fields, each marked with its fate; and in words what it is.

    >>> hl7(b"MSH|^~\\\\&|EHR", {})[1]
    'HL7 v2, 1 segment, UTF-8'
    """
    try:
        message = parse(body)
    except OutcomeError:
        return plain(body), "not readable as HL7 v2"
    count = len(message.segments)
    rows = Markup("").join(_segment(message, index, fates) for index in range(count))
    codec = message.codec.upper().replace("_", "-")
    return rows, f"HL7 v2, {count} {'segment' if count == 1 else 'segments'}, {codec}"


def message_type(beginning: bytes) -> str:
    """MSH-9 of a message of HL7 v2 as engineers say it, from its first bytes; "" if it cannot be read.

    >>> message_type(b"MSH|^~\\\\&|EHR|CITY|||2026||ADT^A01^ADT_A01|7")
    'ADT^A01'
    """
    line = beginning.lstrip(b"\x0b\r\n \xef\xbb\xbf").replace(b"\n", b"\r").partition(b"\r")[0]
    fields = line.split(line[3:4]) if line.startswith(b"MSH") and len(line) > MSH_9 else []
    kind = fields[MSH_9].decode("latin-1") if len(fields) > MSH_9 else ""
    return "^".join(kind.split(line[4:5].decode("latin-1") or "^")[:2]) if kind.isprintable() else ""


def plain(body: bytes) -> Markup:
    """Bytes as text, as far as they are text."""
    text = body[:MAX_TEXT].decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    more = f"\n… {len(body) - MAX_TEXT} bytes more" if len(body) > MAX_TEXT else ""
    return Markup("{}").format(text + more)


def _segment(message: Message, index: int, fates: Mapping[str, str]) -> Markup:
    segment, mark = message.segments[index], message.marks.field
    # Of a header, field 1 is the separator itself and stands before field 2 already.
    first = 2 if segment.name == "MSH" else 1
    fields = [_field(message, index, number, fates) for number in range(first, len(segment.fields) + 1)]
    body = Markup('<span class="sep">{}</span>').format(mark).join(["", *fields])
    return Markup('<span class="seg"><b>{}</b>{}</span>').format(segment.name, body)


def _field(message: Message, index: int, number: int, fates: Mapping[str, str]) -> Markup:
    marks = message.marks
    repetitions = message.segments[index].fields[number - 1]
    parts: list[str] = []
    for count, components in enumerate(repetitions, 1):
        places: list[str] = []
        for place, leaves in enumerate(components, 1):
            shown = [
                _leaf(message.address((index, number, count, place, last)), text, fates)
                if text
                else Markup("")
                for last, text in enumerate(leaves, 1)
            ]
            places.append(escape(marks.subcomponent).join(shown))
        parts.append(escape(marks.component).join(places))
    return escape(marks.repetition).join(parts)


def _leaf(where: str, text: str, fates: Mapping[str, str]) -> Markup:
    return Markup('<span class="f {}" data-where="{}" title="{}">{}</span>').format(
        fates.get(where, ""), where, where, text
    )


def tree(resource: Resource, root: str = "") -> Markup:
    """A resource as indented JSON; each leaf carries its path below `root` (by default Type/id)."""
    return Markup("").join(_lines(resource, root or reference_to(resource)))


def _lines(value: Mapping[str, Any], path: str) -> Iterator[Markup]:
    left = MAX_LEAVES
    for markup, leaves in _members(value, path):
        left -= leaves
        if left < 0:
            yield Markup('<div class="muted">… the rest is left out here</div>')
            return
        yield markup


def _members(value: Mapping[str, Any], path: str) -> Iterator[tuple[Markup, int]]:
    for name, member in value.items():
        yield _element(name, member, f"{path}.{name}")


def _element(name: str, value: Any, path: str) -> tuple[Markup, int]:
    key = Markup('<span class="k">{}</span> ').format(name)
    if isinstance(value, dict):
        return _nested(key, list(_members(value, path)))
    if isinstance(value, list):
        inner = [_element(f"{name}[{at}]", item, f"{path}[{at}]") for at, item in enumerate(value)]
        return Markup("").join(markup for markup, _ in inner), sum(leaves for _, leaves in inner)
    kind = "n" if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else "s"
    said = (
        {True: "true", False: "false", None: "null"}.get(value, value)
        if isinstance(value, bool | None)
        else value
    )
    leaf = Markup('<span class="f {}" data-path="{}">{}</span>').format(kind, path, said)
    return Markup("<div>{}{}</div>").format(key, leaf), 1


def _nested(key: Markup, inner: list[tuple[Markup, int]]) -> tuple[Markup, int]:
    body = Markup("").join(markup for markup, _ in inner)
    return Markup("<div>{}{}</div>").format(key, body), sum(leaves for _, leaves in inner) or 1


def resources_of(lines: tuple[LedgerLine, ...]) -> list[str]:
    """The resources that the ledger names as targets, in its order: `Patient/7`."""
    named = (line.target.partition(".")[0] for line in lines if line.fate == "mapped")
    return [name for name in dict.fromkeys(named) if name.count("/") == 1]
