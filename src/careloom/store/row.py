"""store.row: a resource as the values of its row in res and of its rows in s_str, s_qty, s_dat.

Room: store. May import: fhir. Pure. Standard: https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from careloom.fhir.resource import Resource
from careloom.fhir.searchparam import FIRST_OWN, Indexed, SearchParameter, extract, extract_by
from careloom.store.hashes import COMPARTMENT_SALT, hash64, presence_entry, salt, token_entries, uri_entry
from careloom.store.resource_type import Columns, columns_of, is_plain

STRING_LIMIT = 500
"""Characters of a string that are indexed: a PostgreSQL index row holds at most 2,704 bytes."""

RESTRICTED = frozenset({"R", "V"})
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"


class StringRow(NamedTuple):
    """A row of s_str but for its rid."""

    parameter: int
    value: str


class QuantityRow(NamedTuple):
    """A row of s_qty but for its rid; half open, lo = hi for a point."""

    unit: int
    lo: float
    hi: float
    system: int
    parameter: int


class DateRow(NamedTuple):
    """A row of s_dat but for its rid; half open."""

    lo: datetime
    hi: datetime
    parameter: int


@dataclass(slots=True)
class Row:
    """What search knows of one version."""

    pat: int | None = None
    code: int | None = None
    dlo: datetime | None = None
    dhi: datetime | None = None
    present: int = 0
    is_restricted: bool = False
    ix: set[int] = field(default_factory=set[int])
    also: list[int] = field(default_factory=list[int])
    """Keys of further Patients in whose compartments it is."""
    second_codes: set[int] = field(default_factory=set[int])
    """Codings of the hot code beyond the first."""
    strings: list[StringRow] = field(default_factory=list[StringRow])
    quantities: list[QuantityRow] = field(default_factory=list[QuantityRow])
    dates: list[DateRow] = field(default_factory=list[DateRow])


class Version(NamedTuple):
    """One version of one resource, ready to be written."""

    rid: int
    key: int
    tx: int
    last_updated: datetime
    event_id: int | None
    maker: int
    number: int
    type_number: int
    deed: int
    """store.deed: by which interaction."""
    dictionary: int
    depth: int
    is_deleted: bool
    id: str
    frame: bytes
    row: Row


def row_of(resource: Resource, key: int, own: tuple[SearchParameter, ...] = ()) -> Row:
    """The row of a resource whose key is `key`; `own` are the store's search parameters beside those of R4."""
    rtype: str = resource["resourceType"]
    columns = columns_of(rtype)
    indexed = extract(resource)
    row = Row(is_restricted=_is_restricted(resource), pat=key if rtype == "Patient" else None)
    if own:
        extract_by(resource, own, indexed)
    _fill(row, indexed, columns, frozenset(one.id for one in own if is_plain(one)))
    return row


def row_by(resource: Resource, own: tuple[SearchParameter, ...]) -> Row:
    """What these parameters alone add to the row of a resource: to `ix` and the tables beside."""
    row = Row()
    indexed = extract_by(resource, own)
    _fill(
        row, indexed, columns_of(resource["resourceType"]), frozenset(one.id for one in own if is_plain(one))
    )
    return row


def _fill(row: Row, indexed: Indexed, columns: Columns, plain: frozenset[int]) -> None:
    _tokens(row, indexed, columns, plain)
    _references(row, indexed, columns)
    _dates(row, indexed, columns)
    bits = columns.bits
    present = row.present
    for parameter, text in indexed.strings:
        present |= bits.get(parameter, 0)
        row.strings.append(StringRow(parameter, text.replace("\0", "")[:STRING_LIMIT]))
    for parameter, system, unit, lo, hi in indexed.quantities:
        if parameter in columns.unions:
            continue
        present |= bits.get(parameter, 0)
        row.quantities.append(
            QuantityRow(unit_hash(unit), float(lo), float(hi), system_hash(system), parameter)
        )
    for parameter, uri in indexed.uris:
        present |= bits.get(parameter, 0)
        row.ix.add(uri_entry(parameter, uri))
    row.present = present
    # Those of R4 have a bit each; there are no bits for more.
    found = (*indexed.tokens, *indexed.references, *indexed.uris)
    row.ix.update(presence_entry(one[0]) for one in found if one[0] >= FIRST_OWN)


def tombstone_of(pat: int | None, also: list[int], *, is_restricted: bool) -> Row:
    """The row of a deletion: found by nothing, and seen by those who might see what was deleted."""
    salted = {patient ^ COMPARTMENT_SALT for patient in also}
    return Row(pat=pat, also=also, ix=salted, is_restricted=is_restricted)


def unit_hash(unit: str | None) -> int:
    """Column u of a unit's code (or text); 0 for a bare number."""
    return hash64(unit) if unit else 0


def system_hash(system: str | None) -> int:
    """Column sys of a unit's system: the low half of its hash, signed; 0 for none."""
    return ((hash64(system) & 0xFFFF_FFFF) ^ 0x8000_0000) - 0x8000_0000 if system else 0


def _tokens(row: Row, indexed: Indexed, columns: Columns, plain: frozenset[int]) -> None:
    bits, hot = columns.bits, columns.code
    plain = columns.plain | plain if plain else columns.plain
    for parameter, system, code in indexed.tokens:
        if parameter in columns.unions:
            continue
        row.present |= bits.get(parameter, 0)
        entries = token_entries(parameter, system, code, is_plain=parameter in plain)
        row.ix.update(entries)
        if parameter == hot and code is not None:
            # entries[1] is the coding with its system: the column answers for it, `ix` need not.
            if row.code is None:
                row.code = entries[1]
            elif entries[1] != row.code:
                row.second_codes.add(entries[1])
    if row.code is not None:
        row.ix.discard(row.code)


def _references(row: Row, indexed: Indexed, columns: Columns) -> None:
    bits, own = columns.bits, row.pat
    further: set[int] = set()
    for parameter, reference in indexed.references:
        row.present |= bits.get(parameter, 0)
        key = hash64(reference)
        if parameter in columns.compartment and reference.startswith("Patient/"):
            if row.pat is None and parameter in columns.patients:
                row.pat = key
            elif key != row.pat:
                further.add(key)
            if key == row.pat and own is None and parameter in columns.single_patients:
                continue
        row.ix.add(key ^ salt(parameter))
    if further:
        row.also = sorted(further)
        row.ix.update(patient ^ COMPARTMENT_SALT for patient in further)


def _dates(row: Row, indexed: Indexed, columns: Columns) -> None:
    bits, hot = columns.bits, columns.date
    for parameter, lo, hi in indexed.dates:
        row.present |= bits.get(parameter, 0)
        if parameter == hot:
            # Several intervals (a Timing's events): only their outer limits matter, says the standard.
            row.dlo = lo if row.dlo is None else min(lo, row.dlo)
            row.dhi = hi if row.dhi is None else max(hi, row.dhi)
        else:
            row.dates.append(DateRow(lo, hi, parameter))


def _is_restricted(resource: Resource) -> bool:
    meta = resource.get("meta")
    labels = meta.get("security") if isinstance(meta, dict) else None
    if not isinstance(labels, list):
        return False
    return any(
        isinstance(label, dict)
        and label.get("code") in RESTRICTED
        and label.get("system", CONFIDENTIALITY) == CONFIDENTIALITY
        for label in labels
    )
