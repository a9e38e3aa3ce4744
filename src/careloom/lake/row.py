"""lake.row: a Resource laid into the columns of its type, and back again.

Room: lake. May import: lake.shape, lake.schema, fhir, pyarrow.

Nothing is dropped: a key that has no column, or whose value does not fit its column, goes to `more` of the element
that it stands in. So a row can be made of any Resource, a wrong one too, and to_resource() undoes to_row().
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa

from careloom.fhir.resource import Resource, dumps, loads
from careloom.lake.schema import arrow_schema
from careloom.lake.shape import MORE, RAW, Field, Leaf, Struct, shape_of

Row = dict[str, Any]
Lay = Callable[[Any], Any]

_LOWEST, _HIGHEST = -(2**31), 2**31 - 1
_json = msgspec.json.Encoder(decimal_format="string")
"""Decimals as strings: readers of JSON within an engine would make doubles of them."""


class Misfit(Exception):  # noqa: N818 - not an error: the value goes to `more`
    """The value does not fit the column."""


def to_row(resource: Resource, raw: bytes | str | None = None) -> Row:
    """The columns of a Resource; those without a value are absent. `raw` is its JSON as it came, if it is at hand.

    >>> to_row({"resourceType": "Patient", "active": True, "birthDate": "2020-06"}, "...")
    {'active': True, 'birthDate': '2020-06', 'raw': '...'}
    """
    kind = resource.get("resourceType")
    lay = _layer(shape_of(kind if isinstance(kind, str) else ""))
    row = lay({key: value for key, value in resource.items() if key not in {"resourceType", "text"}})
    text = dumps(resource) if raw is None else raw
    row[RAW] = text.decode() if isinstance(text, bytes) else text
    return row


def to_table(rows: Iterable[Row], resource_type: str) -> pa.Table:  # pyright: ignore[reportUnknownParameterType]
    """Rows of one type as an Arrow table."""
    return pa.Table.from_pylist(list(rows), schema=arrow_schema(resource_type))


def to_resource(row: Row, resource_type: str) -> Resource:
    """The Resource that a row was made of, its narrative excepted, which is only in `raw`."""
    return {"resourceType": resource_type, **_gathered(shape_of(resource_type), row)}


_LAYERS: dict[int, tuple[Struct, Lay]] = {}


def _layer(struct: Struct) -> Lay:
    """The function that lays an element of this shape; kept by identity, as hashing a tree is slow."""
    known = _LAYERS.get(id(struct))
    if known is None:
        known = (struct, _struct(struct))
        _LAYERS[id(struct)] = known
    return known[1]


def _struct(struct: Struct) -> Lay:
    lays = {field.name: lay_of(field) for field in struct.fields if field.type}
    decimals = {field.name for field in struct.fields if field.holds is Leaf.DOUBLE}
    # Most of what comes are texts and elements that fit: they are told by their type and cost no call to ask.
    texts = {
        field.name for field in struct.fields if field.type and not field.many and field.holds is Leaf.TEXT
    }
    elements = {
        field.name: (_layer(field.holds), list if field.many else dict)
        for field in struct.fields
        if isinstance(field.holds, Struct)
    }

    def lay(value: Any) -> Row:
        if type(value) is not dict:
            raise Misfit
        row: Row = {}
        more: Row = {}
        for key, held in value.items():
            kind = type(held)
            if kind is str and key in texts:
                row[key] = held
                continue
            try:
                if key in elements and kind is elements[key][1]:
                    one = elements[key][0]
                    row[key] = (
                        one(held) if kind is dict else [None if each is None else one(each) for each in held]
                    )
                    continue
                row[key] = lays[key](held)
            except (KeyError, Misfit):
                more[key] = held
                continue
            if key in decimals:
                row[f"{key}_text"] = digits(held)
        if more:
            row[MORE] = _json.encode(more).decode()
        return row

    return lay


def lay_of(field: Field) -> Lay:
    """The function that lays the value of a field. Raises Misfit for what its column cannot hold."""
    one = _layer(field.holds) if isinstance(field.holds, Struct) else _LEAVES[field.holds]
    if not field.many:
        return one

    def lay(value: Any) -> list[Any]:
        if type(value) is not list:
            raise Misfit
        return [None if item is None else one(item) for item in value]

    return lay


def _text(value: Any) -> str:
    if type(value) is not str:
        raise Misfit
    return value


def _boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise Misfit
    return value


def _integer(value: Any) -> int:
    if type(value) is not int or not _LOWEST <= value <= _HIGHEST:
        raise Misfit
    return value


def _double(value: Any) -> float:
    if type(value) not in {Decimal, int, float}:
        raise Misfit
    try:
        number = float(value)
    except OverflowError:
        raise Misfit from None
    if number - number != 0:
        raise Misfit
    return number


def _as_json(value: Any) -> str:
    if type(value) is not dict:
        raise Misfit
    return _json.encode(value).decode()


_LEAVES: dict[Leaf, Lay] = {
    Leaf.TEXT: _text,
    Leaf.BOOLEAN: _boolean,
    Leaf.INTEGER: _integer,
    Leaf.DOUBLE: _double,
    Leaf.JSON: _as_json,
}


def digits(value: Any) -> Any:
    """Decimals, or a list of them, as they were written."""
    return [digits(item) for item in value] if isinstance(value, list) else str(value)


def _gathered(struct: Struct, row: Row) -> Resource:
    found: Resource = {}
    for field in struct.fields:
        value = row.get(field.name)
        if value is None or not field.type:
            continue
        if field.holds is Leaf.DOUBLE:
            value = row[f"{field.name}_text"]
            found[field.name] = [Decimal(each) for each in value] if field.many else Decimal(value)
        elif field.many:
            found[field.name] = [None if each is None else _value(field, each) for each in value]
        else:
            found[field.name] = _value(field, value)
    more = row.get(MORE)
    return found | loads(more) if more else found


def _value(field: Field, value: Any) -> Any:
    if isinstance(field.holds, Struct):
        return _gathered(field.holds, value)
    return loads(value) if field.holds is Leaf.JSON else value
