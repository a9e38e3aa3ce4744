"""lake.view.definition: a ViewDefinition as JSON, read and checked: what is left is what the plan needs.

Room: lake. May import: lake.view, fhir. Standard:
https://sql-on-fhir.org/ig/2.0.0/StructureDefinition-ViewDefinition.html

Every fault is told with its place in the JSON; an unknown key is a fault, as it is a misspelt one most often.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, cast

from careloom.fhir.facts import children, facts, resource_types
from careloom.fhir.outcome import OutcomeError
from careloom.fhir.path import parse
from careloom.fhir.path import tree as t
from careloom.fhir.primitive import test_of
from careloom.lake.view.fault import placed, refused
from careloom.lake.view.sql import Constant
from careloom.lake.view.value import Value, boolean, decimal, integer, text

Json = dict[str, Any]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_META = frozenset({"id", "extension", "modifierExtension"})
_VIEW = frozenset({"resourceType"} | {
    child.key
    for name in facts().elements["ViewDefinition"]
    for child in children("ViewDefinition", name.removesuffix("[x]"))
})  # fmt: skip
_SELECT = _META | {"column", "select", "forEach", "forEachOrNull", "repeat", "unionAll"}
_COLUMN = _META | {"path", "name", "description", "collection", "type", "tag"}
_MAX_DEPTH = 32


@dataclass(frozen=True)
class Path:
    """A path and where it stands."""

    tree: t.Node
    place: str


@dataclass(frozen=True)
class Column:
    """A column of the result."""

    name: str
    path: Path
    type: str = ""
    """As declared; "" where it is not."""
    collection: bool = False
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Select:
    """Columns on one context, and what is multiplied with them."""

    place: str
    for_each: Path | None = None
    or_null: bool = False
    repeat: tuple[Path, ...] = ()
    columns: tuple[Column, ...] = ()
    selects: tuple[Select, ...] = ()
    unions: tuple[Select, ...] = ()

    def all_columns(self) -> Iterator[Column]:
        """In the order of the result: its own, those of inner selects, those of the first union."""
        yield from self.columns
        for inner in self.selects:
            yield from inner.all_columns()
        if self.unions:
            yield from self.unions[0].all_columns()


@dataclass(frozen=True)
class View:
    """A checked ViewDefinition."""

    name: str
    resource: str
    select: tuple[Select, ...]
    where: tuple[Path, ...] = ()
    constants: dict[str, Value] = field(default_factory=dict[str, Value])

    def columns(self) -> list[Column]:
        """The columns of the result, in their order."""
        return [column for select in self.select for column in select.all_columns()]


def read(definition: Any) -> View:
    """The view that a ViewDefinition describes. Raises OutcomeError with the place in the JSON.

    >>> read({"resource": "Patient", "select": [{"column": [{"name": "id", "path": "id"}]}]}).columns()[0].name
    'id'
    """
    top = "ViewDefinition"
    view = _object(definition, top)
    if view.get("resourceType", top) != top:
        raise refused("This is a resource of another type, not a ViewDefinition.", f"{top}.resourceType")
    _known(view, _VIEW, top)
    resource = _text(view, "resource", top)
    if resource not in resource_types():
        raise refused(f"'{resource[:64]}' is not a resource type of R4.", f"{top}.resource")
    selects = tuple(_select(each, place, 0) for each, place in _items(view, "select", top))
    if not selects:
        raise refused("A ViewDefinition has at least one select.", f"{top}.select", "required")
    wheres = tuple(_path(_object(each, place), "path", place) for each, place in _items(view, "where", top))
    constants = dict(_constant(_object(each, place), place) for each, place in _items(view, "constant", top))
    name = view.get("name")
    found = View(name if isinstance(name, str) else "", resource, selects, wheres, constants)
    _check_names(found)
    return found


def _check_names(view: View) -> None:
    seen: set[str] = set()
    for column in view.columns():
        # Engines do not tell names apart by case.
        if column.name.lower() in seen:
            raise refused(f"There are two columns with the name '{column.name}'.", column.path.place)
        seen.add(column.name.lower())
    if not seen:
        raise refused("The view has no column.", "ViewDefinition.select", "required")


def _select(value: Any, place: str, depth: int) -> Select:
    if depth > _MAX_DEPTH:
        raise refused("The selects are nested too deeply.", place, "too-costly")
    found = _object(value, place)
    _known(found, _SELECT, place)
    ways = [key for key in ("forEach", "forEachOrNull", "repeat") if key in found]
    if len(ways) > 1:
        raise refused(f"A select has only one of {' and '.join(ways)}.", place)
    way = ways[0] if ways else ""
    unions = tuple(_select(each, inner, depth + 1) for each, inner in _items(found, "unionAll", place))
    _check_unions(unions)
    return Select(
        place=place,
        for_each=_path(found, way, place) if way.startswith("forEach") else None,
        or_null=way == "forEachOrNull",
        repeat=_repeat(found, place) if way == "repeat" else (),
        columns=tuple(_column(each, inner) for each, inner in _items(found, "column", place)),
        selects=tuple(_select(each, inner, depth + 1) for each, inner in _items(found, "select", place)),
        unions=unions,
    )


def _repeat(found: Json, place: str) -> tuple[Path, ...]:
    paths = tuple(_parsed(each, inner) for each, inner in _items(found, "repeat", place))
    if not paths:
        raise refused("repeat has at least one path.", f"{place}.repeat", "required")
    return paths


def _check_unions(unions: tuple[Select, ...]) -> None:
    for other in unions[1:]:
        first = [column.name for column in unions[0].all_columns()]
        names = [column.name for column in other.all_columns()]
        if names != first:
            texts = ", ".join(first), ", ".join(names)
            raise refused(
                f"All of unionAll have the same columns in the same order; the first has ({texts[0]}), this ({texts[1]}).",
                other.place,
            )


def _column(value: Any, place: str) -> Column:
    found = _object(value, place)
    _known(found, _COLUMN, place)
    name = _text(found, "name", place)
    if _NAME.fullmatch(name) is None:
        raise refused(
            "The name of a column has letters, digits and _, and begins with a letter.", f"{place}.name"
        )
    kind = found.get("type", "")
    if not isinstance(kind, str):
        raise refused("The type of a column is a text.", f"{place}.type")
    kind = kind.rpartition("/")[2]  # http://hl7.org/fhir/StructureDefinition/string
    if kind and kind not in facts().types and kind not in facts().primitives and "." not in kind:
        raise refused(f"'{kind[:64]}' is not a type of R4.", f"{place}.type")
    collection = found.get("collection", False)
    if not isinstance(collection, bool):
        raise refused("collection is true or false.", f"{place}.collection")
    tags = tuple(_tag(_object(each, inner), inner) for each, inner in _items(found, "tag", place))
    return Column(name, _path(found, "path", place), kind, collection, tags)


def _tag(found: Json, place: str) -> tuple[str, str]:
    return _text(found, "name", place), _text(found, "value", place)


def _constant(found: Json, place: str) -> tuple[str, Value]:
    name = _text(found, "name", place)
    if _NAME.fullmatch(name) is None or name == "rowIndex":
        raise refused(
            "The name of a constant has letters, digits and _, and begins with a letter.", f"{place}.name"
        )
    keys = [key for key in found if key.startswith("value")]
    if len(keys) != 1:
        raise refused("A constant has one value[x].", place, "required")
    _known(found, _META | {"name", keys[0]}, place)
    kind = keys[0].removeprefix("value")
    kind = kind[:1].lower() + kind[1:]
    if kind not in facts().primitives:
        raise refused(f"A constant is a primitive; {keys[0]} is not one.", f"{place}.{keys[0]}")
    value = found[keys[0]]
    if isinstance(value, float):
        value = Decimal(repr(value))
    if not test_of(kind)(value):
        raise refused(f"The constant is not a {kind}.", f"{place}.{keys[0]}", "value")
    return name, _constant_value(kind, value)


def _constant_value(kind: str, value: Any) -> Value:
    match kind:
        case "boolean":
            return boolean(Constant(value))
        case "integer" | "positiveInt" | "unsignedInt":
            return integer(Constant(value))
        case "decimal":
            return decimal(Constant(Decimal(value)))
        case _:
            return text(Constant(value), kind)


def _path(found: Json, key: str, place: str) -> Path:
    if key not in found:
        raise refused(f"'{key}' is missing.", place, "required")
    return _parsed(found[key], f"{place}.{key}")


def _parsed(value: Any, place: str) -> Path:
    if not isinstance(value, str) or not value.strip():
        raise refused("A path is a text.", place)
    try:
        return Path(parse(value), place)
    except OutcomeError as error:
        raise placed(error, place) from None


def _object(value: Any, place: str) -> Json:
    if not isinstance(value, dict):
        raise refused("Here must be a JSON object.", place, "structure")
    return cast("Json", value)


def _items(found: Json, key: str, place: str) -> list[tuple[Any, str]]:
    value: Any = found.get(key, [])
    if not isinstance(value, list):
        raise refused("Here must be a list.", f"{place}.{key}", "structure")
    return [(each, f"{place}.{key}[{number}]") for number, each in enumerate(cast("list[Any]", value))]


def _text(found: Json, key: str, place: str) -> str:
    value = found.get(key)
    if not isinstance(value, str) or not value:
        raise refused(f"'{key}' is missing.", place, "required")
    return value


def _known(found: Json, known: frozenset[str], place: str) -> None:
    for key in found:
        if key.removeprefix("_") not in known:
            raise refused(f"Unknown element '{key[:64]}'.", place, "structure")
