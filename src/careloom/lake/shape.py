"""lake.shape: the columns of each resource type: a small tree, bounded in depth, that no engine owns.

Room: lake. May import: fhir.facts. Source: the R4 definitions; the way a Resource is laid into it is lake.row.

    shape_of("Observation")                      # Struct: its fields, each a leaf or again a Struct
    shape_of("Observation").field("valueQuantity").holds.field("value").holds      # Leaf.DOUBLE
    lake.schema.arrow_schema(shape), duckdb_columns(shape), spark_ddl(shape)       # the same, for an engine
    lake.row.to_row(resource, raw)               # dict of the columns; lake.row.to_table(rows, type): Arrow

How R4 becomes columns (docs/decisions/0040-lake-shape.md says why):

- A column has the name of its JSON key. A choice has one column for each type: `valueQuantity`, `valueString`.
- Texts, codes, dates, times and instants are texts as they were written: a date may be `2020-06`.
- A decimal is a DOUBLE with its own name, and beside it `<name>_text`, the digits as they were written.
- `more`, the last field of every struct, holds as a JSON object whatever of that element has no column, or does not
  fit its column: `id`, `extension` within elements, `_birthDate`, unknown keys. Decimals in it are JSON strings, so
  that no engine rounds them. Where there is nothing of that kind it is null.
- `extension` of the resource itself is a list of structs with the value types that are met most; one level of
  extensions within extensions is typed, what is deeper is in `more`.
- What repeats itself (QuestionnaireResponse.item in itself), and `contained`, is JSON text: a list stays a list of
  texts, one for each item.
- `raw`, last column of the table, is the JSON of the whole Resource as it came. `text` (the narrative) is only there.

Hence a row loses nothing, and what is asked for most is typed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cache

from careloom.fhir.facts import Child, children, facts, resource_types
from careloom.fhir.outcome import Issue, OutcomeError

MORE = "more"
RAW = "raw"


class Leaf(Enum):
    """What a field holds that has no fields itself."""

    TEXT = "text"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    DOUBLE = "double"
    JSON = "json"
    """A text: JSON of what Field.type says, or for `more` and `raw` an object."""


@dataclass(frozen=True)
class Field:
    """One column, or one field of a struct."""

    name: str
    type: str
    """Type of R4, or path of a backbone element; "" for `more`, `raw` and the text of a decimal."""
    holds: Leaf | Struct
    many: bool = False
    """True: a list of what it holds."""


@dataclass(frozen=True)
class Struct:
    """The fields of a type or backbone element."""

    type: str
    fields: tuple[Field, ...]

    def field(self, name: str) -> Field | None:
        """The field of that name; None if it has no column."""
        return _by_name(self).get(name)


_LEAVES = {
    "boolean": Leaf.BOOLEAN,
    "integer": Leaf.INTEGER,
    "unsignedInt": Leaf.INTEGER,
    "positiveInt": Leaf.INTEGER,
    "decimal": Leaf.DOUBLE,
}

# A choice of all 50 types (Extension.value, Task.input.value): those that are met; the others stay in `more`.
_OPEN_CHOICE = 50
_MET = frozenset({
    "boolean", "code", "date", "dateTime", "decimal", "instant", "integer", "string", "uri", "url",
    "CodeableConcept", "Coding", "Period", "Quantity", "Reference",
})  # fmt: skip

# Kept as JSON: resources in resources, definitions of elements, and the circle of Reference and Identifier.
_JSON_TYPES = frozenset({"Resource", "ElementDefinition"})
_JSON_ELEMENTS = frozenset({"Reference.identifier"})

# Only in `raw`: a narrative is often longer than all the rest, and no one counts it.
_RAW_ONLY = frozenset({"text"})
# In `more`: each element may have them, few do.
_RARE = frozenset({"id", "extension", "modifierExtension"})


@cache
def shape_of(resource_type: str) -> Struct:
    """The columns of a resource type. Raises OutcomeError(not-supported) for what is none of R4.

    >>> [field.name for field in shape_of("Patient").fields][:5]
    ['id', 'meta', 'implicitRules', 'language', 'contained']
    """
    if resource_type not in resource_types():
        raise OutcomeError(
            Issue("not-supported", f"'{resource_type[:64]}' is not a resource type of R4: it has no table.")
        )
    fields: list[Field] = []
    for name in facts().elements[resource_type]:
        if name in _RAW_ONLY:
            continue
        if name == "extension":
            fields.append(Field(name, "Extension", extension_shape(), many=True))
        elif name != "modifierExtension":
            fields += _fields(resource_type, name, (resource_type,))
    raw = Field(RAW, "", Leaf.JSON)
    return Struct(resource_type, (*fields, Field(MORE, "", Leaf.JSON), raw))


@cache
def extension_shape(levels: int = 2) -> Struct:
    """An Extension with as many levels of extensions as this."""
    fields = [field for name in ("url", "value[x]") for field in _fields("Extension", name, ("Extension",))]
    if levels > 1:
        fields.append(Field("extension", "Extension", extension_shape(levels - 1), many=True))
    return Struct("Extension", (*fields, Field(MORE, "", Leaf.JSON)))


def leaves(struct: Struct) -> int:
    """How many leaves a shape has: the columns that a file of it has.

    >>> leaves(shape_of("Observation")) < 700
    True
    """
    return sum(leaves(field.holds) if isinstance(field.holds, Struct) else 1 for field in struct.fields)


def _fields(owner: str, name: str, above: tuple[str, ...]) -> list[Field]:
    """The fields of one element: several for a choice, two for a decimal, none for what is left to `more`."""
    found: list[Field] = []
    for child in children(owner, name.removesuffix("[x]")):
        if len(child.element.types) >= _OPEN_CHOICE and child.type not in _MET:
            continue
        found.append(_field(owner, child, above))
        if child.type == "decimal":
            found.append(Field(f"{child.key}_text", "", Leaf.TEXT, many=child.element.many))
    return found


def _field(owner: str, child: Child, above: tuple[str, ...]) -> Field:
    return Field(child.key, child.type, _holds(owner, child, above), many=child.element.many)


def _holds(owner: str, child: Child, above: tuple[str, ...]) -> Leaf | Struct:
    kind = child.type
    if kind in facts().primitives:
        return _LEAVES.get(kind, Leaf.TEXT)
    if kind in above or kind in _JSON_TYPES or f"{owner}.{child.key}" in _JSON_ELEMENTS:
        return Leaf.JSON
    return _struct(kind, (*above, kind))


@cache
def _struct(kind: str, above: tuple[str, ...]) -> Struct:
    fields = [
        field for name in facts().elements[kind] if name not in _RARE for field in _fields(kind, name, above)
    ]
    return Struct(kind, (*fields, Field(MORE, "", Leaf.JSON)))


_NAMES: dict[int, tuple[Struct, dict[str, Field]]] = {}


def _by_name(struct: Struct) -> dict[str, Field]:
    """Looked up by identity: hashing a whole tree at each step would cost more than the step."""
    known = _NAMES.get(id(struct))
    if known is None or known[0] is not struct:
        known = (struct, {field.name: field for field in struct.fields})
        _NAMES[id(struct)] = known
    return known[1]
