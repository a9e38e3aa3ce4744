"""lake.fit: versions of one type as an Arrow table, by what Arrow itself finds in them.

Room: lake. May import: lake.column, lake.row, lake.schema, lake.shape, lake.sparse, store, pyarrow.

Nearly every Resource fits its shape as it was parsed: its keys are columns, its values of their types. To lay it key by
key (lake.row) would only make the same again, for a quarter of what the lake costs. Arrow tells in one pass all keys that
are met in a batch, and of which type. Resources with a key that has no column, or whose value is of another type, are
laid key by key; decimals, and what is kept as JSON, are put right where they stand. Anything else that is wrong raises.
"""

# pyarrow has no types.
# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import Resource, loads
from careloom.lake.column import OWN, table_schema
from careloom.lake.row import Lay, digits, lay_of, to_row
from careloom.lake.schema import arrow_field
from careloom.lake.shape import RAW, Field, Leaf, Struct, shape_of
from careloom.lake.sparse import filled, least
from careloom.store.feed import Cursor
from careloom.store.stored import Stored


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_decimal(kind)


_NOT_LAID = frozenset({"resourceType", "text"})
_CONTAINED = "contained"
_IS_FOUND = {
    Leaf.TEXT: pa.types.is_string,
    Leaf.BOOLEAN: pa.types.is_boolean,
    Leaf.INTEGER: pa.types.is_integer,
    Leaf.DOUBLE: _is_number,
    Leaf.JSON: pa.types.is_struct,
}
"""What Arrow finds where values are of the type of their column."""


@dataclass(slots=True)
class _Places:
    """Keys of an element, with how to lay what stands there, and the elements below it that have such keys."""

    keys: dict[str, tuple[Lay, bool]] = field(default_factory=dict[str, tuple[Lay, bool]])
    """`True`: it is a decimal, whose digits are kept beside it."""
    below: dict[str, _Places] = field(default_factory=dict[str, "_Places"])


@dataclass(slots=True)
class _Fit:
    """How what was found in an element goes into its shape."""

    fields: list[pa.Field] = field(default_factory=list[pa.Field])
    odd: _Places = field(default_factory=_Places)
    """What has no column, or not this one."""
    mended: _Places = field(default_factory=_Places)
    """What must be put right."""


def fitted(rtype: str, placed: Sequence[tuple[Cursor, Stored]]) -> pa.Table:
    """Versions of one type in columns, in the order of the feed. Raises if one does not fit, and does not say which."""
    # What is null goes to `more`: in a column it could not be told from what is not there.
    alone = {at for at, (_, stored) in enumerate(placed) if b"null" in stored.body}
    rows: list[Resource] = [{} if at in alone else _parsed(stored) for at, (_, stored) in enumerate(placed)]
    fit = _compared(pa.infer_type(rows), shape_of(rtype), _NOT_LAID)
    odd, mended = fit.odd, fit.mended
    if odd.keys or odd.below:
        alone |= {at for at, row in enumerate(rows) if _has(row, odd)}
    for at, row in enumerate(rows):
        if at in alone:
            rows[at] = _laid_alone(placed[at][1])
        elif mended.keys or mended.below:
            _mend(row, mended)
    kind = pa.struct(fit.fields)
    if alone:
        found = filled(pa.infer_type([rows[at] for at in alone]), pa.struct(table_schema(rtype)))
        kind = _joined(kind, found or pa.struct([]))
    return _table(rtype, rows, kind, placed)


def _parsed(stored: Stored) -> Resource:
    if stored.is_deleted:
        return {"id": stored.id}
    if not stored.body:
        raise OutcomeError(Issue("exception", "The body in the store cannot be restored."))
    resource: Any = loads(stored.body)
    if _CONTAINED in resource:
        # Arrow would look for one type that all contained resources have.
        resource[_CONTAINED] = lay_of(Field(_CONTAINED, "", Leaf.JSON, many=True))(resource[_CONTAINED])
    resource["id"] = stored.id
    return resource


def _laid_alone(stored: Stored) -> Resource:
    row = to_row(loads(stored.body), b"")
    row["id"] = stored.id
    del row[RAW]
    return row


def _compared(found: pa.DataType, shape: Struct, ignored: frozenset[str] = frozenset()) -> _Fit:
    """What Arrow found in an element, held against its shape."""
    fit = _Fit()
    has = {each.name: each.type for each in found if each.name not in ignored}
    for each in shape.fields:
        if each.type and each.name in has and _goes(fit, each, has[each.name], is_whole=bool(ignored)):
            del has[each.name]
    fit.odd.keys.update((name, (str, False)) for name in has)
    return fit


def _goes(fit: _Fit, each: Field, found: pa.DataType, *, is_whole: bool) -> bool:
    """Add the field if what was found fits it."""
    if each.many != pa.types.is_list(found):
        return False
    kind = found.value_type if each.many else found
    if pa.types.is_null(kind):
        # A list in which there is nothing.
        kind = least(arrow_field(each).type.value_type)
    elif isinstance(each.holds, Struct):
        if not pa.types.is_struct(kind):
            return False
        below = _compared(kind, each.holds)
        if below.odd.keys or below.odd.below:
            fit.odd.below[each.name] = below.odd
        if below.mended.keys or below.mended.below:
            fit.mended.below[each.name] = below.mended
        whole = arrow_field(each).type if not below.fields else None
        kind = pa.struct(below.fields) if whole is None else least(whole.value_type if each.many else whole)
    elif is_whole and each.name == _CONTAINED:
        pass
    elif not _IS_FOUND[each.holds](kind):
        return False
    elif each.holds in {Leaf.DOUBLE, Leaf.JSON}:
        fit.mended.keys[each.name] = (lay_of(each), each.holds is Leaf.DOUBLE)
        kind = pa.float64() if each.holds is Leaf.DOUBLE else pa.string()
    elif each.holds is Leaf.INTEGER:
        kind = pa.int32()
    fit.fields.append(pa.field(each.name, pa.list_(kind) if each.many else kind))
    if each.holds is Leaf.DOUBLE:
        text = pa.list_(pa.string()) if each.many else pa.string()
        fit.fields.append(pa.field(f"{each.name}_text", text))
    return True


def _has(value: Mapping[str, Any], places: _Places) -> bool:
    return not places.keys.keys().isdisjoint(value) or any(
        _has(one, below)
        for key, below in places.below.items()
        if key in value
        for one in (value[key] if type(value[key]) is list else (value[key],))
    )


def _mend(value: dict[str, Any], places: _Places) -> None:
    for key, (lay, is_decimal) in places.keys.items():
        if key in value:
            if is_decimal:
                value[f"{key}_text"] = digits(value[key])
            value[key] = lay(value[key])
    for key, below in places.below.items():
        held = value.get(key)
        if type(held) is list:
            for one in held:
                _mend(one, below)
        elif held is not None:
            _mend(held, below)


def _joined(one: pa.DataType, two: pa.DataType) -> pa.DataType:
    return pa.struct(
        pa.unify_schemas([pa.schema(list(one)), pa.schema(list(two))], promote_options="permissive")
    )


def _table(
    rtype: str, rows: list[Resource], kind: pa.DataType, placed: Sequence[tuple[Cursor, Stored]]
) -> pa.Table:
    """Rows, with what the store says of each version beside them."""
    stored = [each for _, each in placed]
    own: dict[str, list[Any]] = {
        "version_id": [each.version for each in stored],
        "last_updated": [each.last_updated for each in stored],
        "seq_from": [cursor.tx for cursor, _ in placed],
        "event_id": [each.event_id for each in stored],
        "agent": [each.agent or each.actor_id for each in stored],
        "is_deleted": [each.is_deleted for each in stored],
        "is_aside": [False] * len(stored),
    }
    columns: dict[str, pa.Array] = {
        name: pa.array(own[name], OWN.field(name).type) for name in OWN.names if name in own
    }
    columns |= dict(zip((each.name for each in kind), pa.array(rows, kind).flatten(), strict=True))
    # Arrow sees to it that it is UTF-8.
    columns[RAW] = pa.array([each.body or None for each in stored], pa.string())
    held = {name: column for name, column in columns.items() if column.null_count < len(stored)}
    return pa.table({name: held[name] for name in table_schema(rtype).names if name in held})
