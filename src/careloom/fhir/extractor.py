"""fhir.extractor: compiles the search parameters of one resource type to one Python function.

Room: fhir. May import: fhir.facts, fhir.searchpath, fhir.indexvalue, fhir.instant. Standard: https://hl7.org/fhir/R4/search.html

All routes of a type are merged into one tree, so that each element is visited once however many parameters read
it, and the tree is written out as source. Interpreting the paths one by one costs several times as much.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from textwrap import indent
from typing import Any

from careloom.fhir import indexvalue
from careloom.fhir.facts import facts
from careloom.fhir.instant import interval, period, timing
from careloom.fhir.searchpath import Hop, Key, Resolves, Route, Where, paths

Extractor = Callable[..., None]

# What is indexed for (type of parameter, type of element), as source. `{v}` is the element. A line that names
# `{id}` is written once for each parameter that reads the element. A token of neither system nor code says that an
# element is there, though nothing in it can be found: a search by :missing asks for that.
_THERE = "token(({id}, None, None))"
_CODING = "token(({id}, {v}.get('system'), {v}.get('code')))"
_IDENTIFIER = _CODING.replace("'code'", "'value'")
_PLAIN = "token(({id}, None, {v}))"
_STRING = "string(({id}, normalised({v})))"
_MOMENT = "lo, hi = interval({v})\ndate(({id}, lo, hi))"
_SPAN = f"if span is not None:\n    date(({{id}}, *span))\nelse:\n    {_THERE}"
_CANONICAL = "for text in canonical_keys({v}):\n    reference(({id}, text))"
_INLINE = "if 'id' in {v}:\n    reference(({id}, {v}['resourceType'] + '/' + {v}['id']))"
_QUANTITY = f"add_quantity(quantity, {{id}}, {{v}})\nif 'value' not in {{v}}:\n    {_THERE}"
_NUMBER = "quantity(({id}, None, None, number({v}), number({v})))"
_URI = "uri(({id}, {v}))"
_RULES: dict[tuple[str, str], str] = {
    ("token", "CodeableConcept"): (
        "if 'coding' not in {v}:\n"
        f"    {_THERE}\n"
        "for c in {v}.get('coding', ()):\n" + indent(_CODING.replace("{v}", "c"), "    ")
    ),
    ("token", "Coding"): _CODING,
    ("token", "Identifier"): _IDENTIFIER,
    # Its own words for what it is and whose stand where a system would (phone|..., home|...).
    ("token", "ContactPoint"): (
        "token(({id}, {v}.get('system'), {v}.get('value')))\n"
        "if 'use' in {v}:\n"
        "    token(({id}, {v}['use'], {v}.get('value')))"
    ),
    ("token", "boolean"): "token(({id}, None, 'true' if {v} else 'false'))",
    ("token", "code"): _PLAIN,
    ("token", "id"): _PLAIN,
    ("token", "string"): _PLAIN,
    ("token", "uri"): _PLAIN,
    ("token", "url"): _PLAIN,
    ("token", "oid"): _PLAIN,
    ("token", "uuid"): _PLAIN,
    ("token", "canonical"): _PLAIN,
    ("string", "code"): _STRING,
    ("string", "id"): _STRING,
    ("string", "uri"): _STRING,
    ("string", "string"): _STRING,
    ("string", "markdown"): _STRING,
    ("string", "HumanName"): "for text in human_name_strings({v}):\n    string(({id}, text))",
    ("string", "Address"): "for text in address_strings({v}):\n    string(({id}, text))",
    ("date", "date"): _MOMENT,
    ("date", "dateTime"): _MOMENT,
    ("date", "instant"): _MOMENT,
    ("date", "Period"): f"span = period({{v}})\n{_SPAN}",
    ("date", "Timing"): f"span = timing({{v}})\n{_SPAN}",
    ("reference", "Reference"): (
        "text = {v}.get('reference')\n"
        "if text is not None and text[:1] != '#':\n"
        "    text = reference_key(text)\n"
        "    reference(({id}, text))\n"
        "elif 'identifier' not in {v}:\n"
        f"    {_THERE}\n"
        "named = {v}.get('identifier')\n"
        "if named is not None:\n" + indent(_IDENTIFIER.replace("{v}", "named"), "    ")
    ),
    ("reference", "canonical"): _CANONICAL,
    ("reference", "uri"): _CANONICAL,
    ("reference", "Resource"): _INLINE,
    ("quantity", "Quantity"): _QUANTITY,
    ("quantity", "Age"): _QUANTITY,
    ("quantity", "Duration"): _QUANTITY,
    ("quantity", "Count"): _QUANTITY,
    ("quantity", "Distance"): _QUANTITY,
    ("quantity", "Money"): (
        "if 'value' in {v}:\n"
        "    n = number({v}['value'])\n"
        "    quantity(({id}, 'urn:iso:std:iso:4217', {v}.get('currency'), n, n))"
    ),
    ("quantity", "Range"): "add_range(quantity, {id}, {v})",
    ("quantity", "SampledData"): "add_sampled_data(quantity, {id}, {v})",
    ("number", "decimal"): _NUMBER,
    ("number", "integer"): _NUMBER,
    ("number", "positiveInt"): _NUMBER,
    ("number", "unsignedInt"): _NUMBER,
    ("number", "Range"): "add_range(quantity, {id}, {v})",
    ("uri", "uri"): _URI,
    ("uri", "url"): _URI,
    ("uri", "canonical"): "for text in canonical_keys({v}):\n    uri(({id}, text))",
    ("uri", "oid"): _URI,
    ("uri", "uuid"): _URI,
}
_NAMES: dict[str, Any] = {
    "interval": interval,
    "period": period,
    "timing": timing,
    "normalised": indexvalue.normalised,
    "reference_key": indexvalue.reference_key,
    "points_at": indexvalue.points_at,
    "canonical_keys": indexvalue.canonical_keys,
    "human_name_strings": indexvalue.human_name_strings,
    "address_strings": indexvalue.address_strings,
    "add_quantity": indexvalue.add_quantity,
    "add_range": indexvalue.add_range,
    "add_sampled_data": indexvalue.add_sampled_data,
    "number": indexvalue.number,
}


@dataclass(slots=True)
class _Node:
    """An element of the tree: the rules applied to it (with the parameters they serve) and the hops onward."""

    rules: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    claims: dict[int, list[str]] = field(default_factory=dict[int, list[str]])
    onward: dict[Hop, _Node] = field(default_factory=dict[Hop, "_Node"])
    is_primitive: bool = False


def compiled(parameters: Iterable[tuple[int, str, str]]) -> Extractor:
    """The function `extract(resource, token, string, date, reference, quantity, uri)` of (id, type, expression)s.

    Each argument after the first is called with one tuple for each value found.
    """
    namespace = dict(_NAMES)
    # The source is made of the rules above and of element names from the R4 definitions. All that a client may have
    # written (a text in where(), of a parameter of its own) stands in it as the repr of a string.
    exec(compile(source(parameters), "<search parameters>", "exec"), namespace)  # noqa: S102
    return namespace["extract"]


def source(parameters: Iterable[tuple[int, str, str]]) -> str:
    """The source of that function, for reading."""
    root = _Node()
    for number, kind, expression in parameters:
        for route in indexed_routes(kind, expression):
            _plant(root, route, number, kind)
    body = "\n".join(_lines(root, "r", 0)) or "pass"
    return "def extract(r, token, string, date, reference, quantity, uri):\n" + indent(body, "    ") + "\n"


@cache
def rule(kind: str, rtype: str) -> Extractor | None:
    """`index(value, parameter, token, string, ...)` for one element of a type; None if this kind cannot index it."""
    text = _RULES.get((kind, rtype))
    if text is None:
        return None
    body = "\n".join(line.format(v="v", id="parameter") for line in text.splitlines())
    head = "def index(v, parameter, token, string, date, reference, quantity, uri):\n"
    namespace = dict(_NAMES)
    exec(compile(head + indent(body, "    "), "<search rule>", "exec"), namespace)  # noqa: S102 - the rules above
    return namespace["index"]


def indexed_routes(kind: str, expression: str) -> list[Route]:
    """The routes of a parameter that lead to a type it can index; a choice may have others (Procedure.date: Age).

    None for an expression that is more than paths: its elements are found by evaluating it (fhir.searchvalue).
    """
    if not expression or kind in {"composite", "special"}:
        return []
    return [route for route in paths(expression) if route.claim or (kind, route.type) in _RULES]


def _plant(node: _Node, route: Route, number: int, kind: str) -> None:
    for hop in route.hops:
        node = node.onward.setdefault(hop, _Node())
    if route.claim:
        node.claims.setdefault(number, []).append(route.claim)
        return
    node.is_primitive = route.type in facts().primitives
    numbers = node.rules.setdefault(_RULES[kind, route.type], [])
    if number not in numbers:
        numbers.append(number)


def _lines(node: _Node, variable: str, depth: int) -> Iterator[str]:
    for rule, numbers in node.rules.items():
        for line in rule.splitlines():
            for number in numbers if "{id}" in line else numbers[:1]:
                yield line.format(v=variable, id=number)
    for number, keys in node.claims.items():
        tests = " or ".join(f"{variable}.get({key!r}, False) is not False" for key in keys)
        yield f"token(({number}, None, 'true' if {tests} else 'false'))"
    for hop, child in node.onward.items():
        yield from _hop_lines(hop, child, variable, depth)


def _hop_lines(hop: Hop, child: _Node, variable: str, depth: int) -> Iterator[str]:
    inner = f"v{depth + 1}"
    match hop:
        case Where(name, value):
            yield f"if {variable}.get({name!r}) == {value!r}:"
            inner = variable
        case Resolves(rtype):
            yield f"if points_at({variable}, {rtype!r}):"
            inner = variable
        case Key(name, many=True):
            items = f"{variable}.get({name!r}, ())"
            yield f"for {inner} in {items}{'[:1]' if hop.first else ''}:"
            # A null in a list of primitives stands where only an extension is known.
            if child.is_primitive:
                yield f"    if {inner} is None:"
                yield "        continue"
        case Key(name):
            yield f"{inner} = {variable}.get({name!r})"
            yield f"if {inner} is not None:"
    yield from (f"    {line}" for line in _lines(child, inner, depth + 1))
