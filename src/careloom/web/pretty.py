"""web.pretty: a resource as indented JSON, its references as links; and what differs between two versions.

Room: web. Pure. The text of the lines is valid JSON with every decimal as it came, so that it can be copied.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from difflib import SequenceMatcher
from typing import Any

from markupsafe import Markup, escape

from careloom.fhir.facts import resource_types
from careloom.fhir.resource import Resource
from careloom.web.wording import number

AROUND = 3
"""Lines that stay the same, shown on both sides of a change."""

LONGEST = 2_000
"""Letters of one string; more (a scanned document) stand in the bytes only."""

_LOCAL = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]+)?")


@dataclass(frozen=True, slots=True)
class Line:
    """One line: as text, and with links."""

    text: str
    html: Markup
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Changed:
    """One line of a comparison: `sign` is +, -, a blank where nothing changed, or … where lines were left out."""

    sign: str
    html: Markup


def lines(resource: Resource) -> list[Line]:
    """The resource, line by line.

    >>> [line.text for line in lines({"active": True, "link": []})]
    ['{', '  "active": true,', '  "link": []', '}']
    """
    return list(_value("", resource, "", ""))


def compared(before: Resource, after: Resource) -> list[Changed]:
    """What was taken away and what came, with a few lines around each."""
    old, new = lines(before), lines(after)
    matcher = SequenceMatcher(None, [one.text for one in old], [one.text for one in new], autojunk=False)
    found: list[Changed] = []
    for group in matcher.get_grouped_opcodes(AROUND):
        if found or group[0][1] > 0:
            found.append(Changed("…", Markup("")))
        for tag, old_from, old_to, new_from, new_to in group:
            if tag == "equal":
                found += [Changed(" ", one.html) for one in new[new_from:new_to]]
            else:
                found += [Changed("-", one.html) for one in old[old_from:old_to]]
                found += [Changed("+", one.html) for one in new[new_from:new_to]]
    return found


def local(reference: str) -> str:
    """The page of a relative reference; "" if it is none.

    >>> local("Patient/7"), local("http://other.example/Patient/7")
    ('/browse/Patient/7', '')
    """
    found = _LOCAL.fullmatch(reference)
    return f"/browse/{found[1]}/{found[2]}" if found and found[1] in resource_types() else ""


def _value(key: str, value: Any, indent: str, comma: str, name: str = "") -> Iterator[Line]:
    if isinstance(value, dict) and value:
        members = [(f"{_quoted(str(one))}: ", inner, str(one)) for one, inner in value.items()]
        yield from _nested(key, ("{", "}"), members, indent, comma)
    elif isinstance(value, list) and value:
        yield from _nested(key, ("[", "]"), [("", inner, "") for inner in value], indent, comma)
    else:
        yield _leaf(key, value, indent, comma, name)


def _nested(
    key: str, marks: tuple[str, str], members: Sequence[tuple[str, Any, str]], indent: str, comma: str
) -> Iterator[Line]:
    yield _line(indent, key, marks[0])
    for at, (inner_key, inner, name) in enumerate(members, 1):
        yield from _value(inner_key, inner, f"{indent}  ", "," if at < len(members) else "", name)
    yield _line(indent, "", f"{marks[1]}{comma}")


def _leaf(key: str, value: Any, indent: str, comma: str, name: str) -> Line:
    is_cut = isinstance(value, str) and len(value) > LONGEST
    if is_cut:
        value = f"{value[:LONGEST]}… {len(value) - LONGEST} letters more"
    text = number(value) if isinstance(value, Decimal) else _quoted(value)
    kind = "s" if isinstance(value, str) else "n"
    html = Markup('<span class="{}">{}</span>').format(kind, text)
    if name == "reference" and isinstance(value, str) and (href := local(value)):
        html = Markup('<a href="{}">{}</a>').format(href, text)
    return Line(
        f"{indent}{key}{text}{comma}",
        Markup('{}<span class="k">{}</span>{}{}').format(indent, key, html, comma),
        is_cut,
    )


def _line(indent: str, key: str, mark: str) -> Line:
    head = Markup('<span class="k">{}</span>').format(key) if key else Markup("")
    return Line(f"{indent}{key}{mark}", escape(indent) + head + escape(mark))


def _quoted(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
