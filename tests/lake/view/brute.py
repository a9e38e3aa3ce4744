"""A ViewDefinition run as the standard tells it, resource by resource, with the evaluator of FHIRPath: slow, and without SQL.

https://sql-on-fhir.org/ig/2.0.0/StructureDefinition-ViewDefinition.html (processing algorithm)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any

from careloom.fhir.path import Node, compile  # noqa: A004 - as re.compile
from careloom.fhir.path.types import resource_node
from careloom.fhir.path.value import json_value
from careloom.fhir.resource import Resource

Json = dict[str, Any]
_KEY = re.compile(r"(?:(.*)\.)?get(Resource|Reference)Key\((\w*)\)")


class Stops(Exception):  # noqa: N818 - what a view does
    """A cell has several values, or a condition is none."""


def rows(view: Json, resources: Iterable[Resource]) -> list[Json]:
    """The rows of a view. Raises Stops where it stops."""
    literals = {one["name"]: _literal(one) for one in view.get("constant", ())}
    found = _View(literals)
    return [
        row
        for one in resources
        if one["resourceType"] == view["resource"]
        and all(found.holds(each["path"], resource_node(one)) for each in view.get("where", ()))
        for row in found.rows({"select": view["select"]}, resource_node(one), 0)
    ]


class _View:
    def __init__(self, literals: dict[str, str]) -> None:
        self._literals = literals

    def rows(self, select: Json, node: Any, index: int) -> Iterator[Json]:
        for at, context in self._contexts(select, node, index):
            parts = [[{one["name"]: self._cell(one, context, at) for one in select.get("column", ())}]]
            parts += [list(self.rows(one, context, at)) for one in select.get("select", ())]
            if "unionAll" in select:
                parts.append([row for one in select["unionAll"] for row in self.rows(one, context, at)])
            for several in product(*parts):
                yield {name: value for one in several for name, value in one.items()}

    def _contexts(self, select: Json, node: Any, index: int) -> list[tuple[int, Any]]:
        if "repeat" in select:
            return list(enumerate(self._repeated(select["repeat"], node)))
        way = next((key for key in ("forEach", "forEachOrNull") if key in select), "")
        if not way:
            return [(index, node)]
        found = self.items(select[way], node, 0)
        return list(enumerate(found or ([None] if way == "forEachOrNull" else [])))

    def _repeated(self, paths: list[str], node: Any) -> Iterator[Any]:
        for path in paths:
            for one in self.items(path, node, 0):
                yield one
                yield from self._repeated(paths, one)

    def items(self, path: str, node: Any, index: int) -> list[Any]:
        if node is None:
            return []
        key = _KEY.fullmatch(path)
        if key:
            return list(self._keys(key, node, index))
        names = {**self._literals, "rowIndex": str(index)}
        text = re.sub(r"%(\w+)", lambda found: names.get(found[1], found[0]), path)
        return compile(text).nodes(node)

    def _keys(self, key: re.Match[str], node: Any, index: int) -> Iterator[str]:
        base, kind, rtype = key.groups()
        for one in self.items(base, node, index) if base else [node]:
            if kind == "Resource":
                yield one.value["id"]
                continue
            told = re.fullmatch(
                r"(?:.*/)?([A-Z]\w+)/([^/]+)(?:/_history/.*)?", one.value.get("reference", "")
            )
            if told and rtype in {"", told[1]}:
                yield told[2]

    def holds(self, path: str, node: Any) -> bool:
        found = self.items(path, node, 0)
        if len(found) > 1:
            raise Stops
        return bool(found) and _plain(found[0]) is not False

    def _cell(self, column: Json, node: Any, index: int) -> Any:
        path = column["path"]
        found = [index] if path == "%rowIndex" else self.items(path, node, index)
        values = [value for one in found if (value := _plain(one)) is not None]
        if column.get("collection"):
            return values
        if len(values) > 1:
            raise Stops
        return values[0] if values else None


def _plain(one: Any) -> Any:
    return one.value if type(one) is Node else json_value(one) if not isinstance(one, str | int) else one


def _literal(constant: Json) -> str:
    [(kind, value)] = [(key, each) for key, each in constant.items() if key.startswith("value")]
    if isinstance(value, bool):
        return str(value).lower()
    if kind in {"valueDate", "valueDateTime", "valueInstant"}:
        return f"@{value}"
    if kind == "valueTime":
        return f"@T{value}"
    if not isinstance(value, str):
        return str(value)
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
