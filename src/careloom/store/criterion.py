"""store.criterion: one criterion of a search as a condition on a row of res.

Room: store. May import: fhir. Pure. Standard: https://hl7.org/fhir/R4/search.html#ptypes

What cannot be answered exactly by the index alone is answered by a condition that lets more through, and `needs_check`
says so: the resources that pass are then looked at (fhir.matching). What cannot be answered at all is refused with
`not-supported`, never left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from careloom.fhir.clause import Criterion
from careloom.fhir.facts import resource_types
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.queryvalue import (
    FULL_TEXT,
    Amount,
    Composite,
    Missing,
    Moment,
    Reference,
    Text,
    Token,
    TypedIdentifier,
    Uri,
    Value,
)
from careloom.fhir.searchparam import OF_THE_ROW, SearchParameter, parameters
from careloom.store.composite import gathered, of_the_row
from careloom.store.condition import ALWAYS, NEVER, Condition, all_of, any_of, equals, negated, overlaps
from careloom.store.hashes import (
    code_entry,
    coding_entry,
    hash64,
    presence_entry,
    salt,
    system_entry,
    uri_entry,
)
from careloom.store.moment import on_hot_date, on_last_updated, on_other_date
from careloom.store.resource_type import RESOURCE_TYPES, UNIONS, Columns, columns_of, is_plain
from careloom.store.row import STRING_LIMIT, system_hash, unit_hash

HIGHEST = chr(0x10FFFF)
"""The last character: what a prefix may go on with."""
MAX_URI = 1_000
"""Characters of a uri whose beginnings :above looks for."""


def criterion_condition(rtype: str, criterion: Criterion, row: str = "r") -> Condition:
    """The condition that rows of this type, aliased `row`, must meet. Raises OutcomeError(not-supported)."""
    parameter, modifier = criterion.parameter, criterion.modifier
    columns = columns_of(rtype)
    if criterion.values and isinstance(criterion.values[0], Missing):
        return _missing(columns, parameter, rtype, row, is_missing=criterion.values[0].is_missing)
    if modifier == "not":
        asserted = Criterion(parameter, "", criterion.values)
        return ALWAYS if needs_check(asserted) else negated(criterion_condition(rtype, asserted, row))
    if parameter.type == "special" or parameter.code in FULL_TEXT:
        return ALWAYS
    if modifier.startswith("=") and (modifier != "=eq" or parameter.type != "string"):
        return ALWAYS if parameter.code in OF_THE_ROW else _present(columns, _stored(rtype, parameter), row)
    if parameter.code == "_id":
        return _by_id(rtype, parameter, modifier, criterion.values, row)
    conditions = [
        _one_parameter(columns, one, modifier, criterion.values, row) for one in _stored(rtype, parameter)
    ]
    return any_of(conditions)


def needs_check(criterion: Criterion) -> bool:
    """Whether `criterion_condition` may let through what does not meet the criterion."""
    parameter, modifier = criterion.parameter, criterion.modifier
    if criterion.values and isinstance(criterion.values[0], Missing):
        return parameter.type in {"composite", "special"}
    if modifier == "not":
        return needs_check(Criterion(parameter, "", criterion.values))
    if modifier.startswith("=") or parameter.code in FULL_TEXT:
        return True
    match parameter.type:
        case "string":
            return modifier in {"exact", "contains"} or any(map(_is_long, criterion.values))
        case "composite":
            return parameter.expression != parameter.rtype
        case "special":
            return True
        case _:
            return modifier in {"text", "of-type"} or (modifier == "below" and parameter.type == "uri")


def by_hot_code(codes: Sequence[int], row: str = "r") -> list[Condition]:
    """The two ways to rows with one of these codings: it is their first, or (of a few) another one."""
    second = equals("s.code", codes)
    sql = f"{row}.rid in (select s.rid from s_second s where {second.sql})"
    return [equals(f"{row}.code", codes), Condition(sql, second.values)]


def of_hot_code(codes: Sequence[int], row: str) -> list[Condition]:
    """The same ways for a row to which something else has led."""
    second = equals("s.code", codes)
    sql = f"exists (select from s_second s where s.rid = {row}.rid and {second.sql})"
    return [equals(f"{row}.code", codes), Condition(sql, second.values)]


def _with_hot_code(codes: Sequence[int], row: str) -> Condition:
    """Both ways as one condition.

    The array is made before the rows are looked at, so that either of two indexes, or none of them, can be taken.
    """
    second = equals("s.code", codes)
    sql = f"{row}.rid = any(array(select s.rid from s_second s where {second.sql}))"
    return any_of([equals(f"{row}.code", codes), Condition(sql, second.values)])


def _is_long(value: Value) -> bool:
    """Whether the index holds only the beginning of what this asks for."""
    return isinstance(value, Text) and len(value.normalised) > STRING_LIMIT


def hot_codes(rtype: str, criterion: Criterion) -> list[int]:
    """The hashes of column `code` that answer this criterion, with those of s_second; empty: another column must."""
    if criterion.parameter.id != columns_of(rtype).code or criterion.modifier:
        return []
    entries = [_coding(criterion.parameter.id, value) for value in criterion.values]
    return [entry for entry in entries if entry is not None] if None not in entries else []


def _stored(rtype: str, parameter: SearchParameter) -> list[SearchParameter]:
    """The parameters under whose ids the values of this one stand."""
    union = UNIONS.get(rtype, {}).get(parameter.code)
    return [parameters(rtype)[code] for code in union] if union else [parameter]


def _missing(
    columns: Columns, parameter: SearchParameter, rtype: str, row: str, *, is_missing: bool
) -> Condition:
    if parameter.code in OF_THE_ROW:
        return NEVER if is_missing else ALWAYS
    if parameter.type in {"composite", "special"}:
        return ALWAYS
    return _present(columns, _stored(rtype, parameter), row, "=" if is_missing else "<>")


def _present(columns: Columns, stored: Sequence[SearchParameter], row: str, sign: str = "<>") -> Condition:
    if stored[0].is_own:
        return _own_present(stored[0], row, sign)
    bits = 0
    for parameter in stored:
        if parameter.id not in columns.bits:
            raise _unsupported(parameter, "missing")
        bits |= columns.bits[parameter.id]
    return Condition(f"{row}.present & %s::bigint {sign} 0", (bits,))


def _own_present(parameter: SearchParameter, row: str, sign: str) -> Condition:
    """The same for a parameter that R4 does not have: there is no bit for it."""
    table = _TABLES.get(parameter.type)
    if table is None:
        found = overlaps(f"{row}.ix", [presence_entry(parameter.id)])
    else:
        found = _beside(table, parameter, ALWAYS, row)
    return found if sign == "<>" else negated(found)


_TABLES = {"string": "s_str", "number": "s_qty", "quantity": "s_qty", "date": "s_dat"}


def _by_id(
    rtype: str, parameter: SearchParameter, modifier: str, values: Sequence[Value], row: str
) -> Condition:
    if modifier:
        raise _unsupported(parameter, modifier)
    ids = [value.code for value in values if isinstance(value, Token) and value.code and not value.system]
    types = RESOURCE_TYPES if rtype == "Resource" else (rtype,)
    by_key = equals(f"{row}.key", [hash64(f"{one}/{id_}") for one in types for id_ in ids])
    return all_of([by_key, Condition(f"{row}.id = any(%s)", (ids,))])


def _one_parameter(
    columns: Columns, parameter: SearchParameter, modifier: str, values: Sequence[Value], row: str
) -> Condition:
    kind = "token" if modifier == "identifier" else parameter.type
    if kind not in _CONDITIONS or (modifier and not _is_supported(parameter, modifier)):
        raise _unsupported(parameter, modifier or parameter.type)
    return _CONDITIONS[kind](columns, parameter, modifier, values, row)


def _tokens(
    columns: Columns, parameter: SearchParameter, modifier: str, values: Sequence[Value], row: str
) -> Condition:
    if modifier == "text":
        return _present(columns, [parameter], row)
    plain = parameter.id in columns.plain or (parameter.is_own and is_plain(parameter))
    hot: list[int] = []
    entries: list[int] = []
    any_value: list[Condition] = []
    for value in values:
        coding = None if plain else _coding(parameter.id, value)
        if plain and isinstance(value, Token) and value.system:
            # No element of this parameter has a system but the one its binding implies, which the parser took off.
            continue
        if coding is not None and parameter.id == columns.code:
            hot.append(coding)
        elif coding is not None:
            entries.append(coding)
        elif isinstance(value, TypedIdentifier):
            entries.append(code_entry(parameter.id, value.value))
        elif isinstance(value, Token) and value.code is not None:
            entries.append(code_entry(parameter.id, value.code))
        elif isinstance(value, Token) and value.system:
            entries.append(system_entry(parameter.id, value.system))
        elif value == Token(None, None):
            any_value = [_present(columns, [parameter], row)]
        else:
            raise _unsupported(parameter, "")
    conditions = [overlaps(f"{row}.ix", entries)] if entries else []
    if hot:
        conditions.append(_with_hot_code(hot, row))
    return any_of([*conditions, *any_value])


def _coding(parameter: int, value: Value) -> int | None:
    """The hash of a code whose system is told (or told to be absent)."""
    if isinstance(value, Token) and value.code is not None and value.system is not None:
        return coding_entry(parameter, value.system, value.code)
    return None


def _strings(
    _columns: Columns, parameter: SearchParameter, modifier: str, values: Sequence[Value], row: str
) -> Condition:
    conditions: list[Condition] = []
    for value in values:
        if not isinstance(value, Text):
            raise _unsupported(parameter, modifier)
        text = value.normalised.replace("\0", "")[:STRING_LIMIT]
        if modifier == "contains":
            escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            # Of a longer text only the beginning is here.
            conditions.append(Condition("(s.v like %s or length(s.v) >= %s)", (f"%{escaped}%", STRING_LIMIT)))
        elif modifier in {"exact", "=eq"}:
            conditions.append(Condition("s.v = %s", (text,)))
        else:
            conditions.append(Condition("s.v >= %s and s.v < %s", (text, text + HIGHEST)))
    return _beside("s_str", parameter, any_of(conditions), row)


def _quantities(
    _columns: Columns, parameter: SearchParameter, modifier: str, values: Sequence[Value], row: str
) -> Condition:
    conditions: list[Condition] = []
    for value in values:
        if not isinstance(value, Amount):
            raise _unsupported(parameter, modifier)
        parts = [_range(value)]
        if value.code is not None:
            parts.append(Condition("s.u = %s", (unit_hash(value.code),)))
        if value.system is not None:
            parts.append(Condition("s.sys = %s", (system_hash(value.system),)))
        conditions.append(all_of(parts))
    return _beside("s_qty", parameter, any_of(conditions), row)


# How the stored range [lo, hi] lies to the amount; nearly all are points, which an index on lo finds.
_RANGE: dict[str, tuple[str, str]] = {
    "eq": ("s.lo >= %s and s.lo < %s and s.hi < %s", "lo hi hi"),
    "ne": ("(s.lo < %s or s.hi >= %s)", "lo hi"),
    "gt": ("(s.lo > %s or s.hi > s.lo and s.hi > %s)", "value value"),
    "ge": ("(s.lo >= %s or s.hi > s.lo and s.hi >= %s)", "value value"),
    "lt": ("s.lo < %s", "value"),
    "le": ("s.lo <= %s", "value"),
    "sa": ("s.lo > %s", "value"),
    "eb": ("s.lo < %s and s.hi < %s", "value value"),
    "ap": ("s.lo <= %s and s.hi >= %s", "hi lo"),
}


def _range(amount: Amount) -> Condition:
    sql, names = _RANGE[amount.prefix]
    return Condition(sql, tuple(getattr(amount, name) for name in names.split()))


def _references(
    columns: Columns, parameter: SearchParameter, _modifier: str, values: Sequence[Value], row: str
) -> Condition:
    patients: list[int] = []
    entries: list[int] = []
    for value in values:
        for key in value.keys if isinstance(value, Reference) else ():
            if parameter.id in columns.single_patients and key.startswith("Patient/"):
                patients.append(hash64(key))
            elif parameter.code != "patient" or not _is_of_another_type(key):
                entries.append(hash64(key) ^ salt(parameter.id))
    conditions = [equals(f"{row}.pat", patients)] if patients else []
    if entries:
        conditions.append(overlaps(f"{row}.ix", entries))
    return any_of(conditions)


def _is_of_another_type(key: str) -> bool:
    """Whether this is `Type/id`, and of another type than Patient: a bare id is tried for every target of R4."""
    rtype, _, id_ = key.partition("/")
    return rtype in resource_types() and "/" not in id_ and rtype != "Patient"


def _uris(
    columns: Columns, parameter: SearchParameter, modifier: str, values: Sequence[Value], row: str
) -> Condition:
    if modifier == "below":
        return _present(columns, [parameter], row)
    uris = [value.uri for value in values if isinstance(value, Uri)]
    if modifier == "above":
        uris = [uri[:end] for uri in uris for end in range(1, min(len(uri), MAX_URI) + 1)]
    return overlaps(f"{row}.ix", [uri_entry(parameter.id, uri) for uri in uris])


def _dates(
    columns: Columns, parameter: SearchParameter, modifier: str, values: Sequence[Value], row: str
) -> Condition:
    moments = [value for value in values if isinstance(value, Moment)]
    if len(moments) < len(values):
        raise _unsupported(parameter, modifier)
    if parameter.code == "_lastUpdated":
        return any_of([on_last_updated(moment, row) for moment in moments])
    if parameter.id == columns.date:
        return any_of([on_hot_date(moment, row) for moment in moments])
    return _beside("s_dat", parameter, any_of([on_other_date(moment) for moment in moments]), row)


def _composites(
    columns: Columns, parameter: SearchParameter, modifier: str, values: Sequence[Value], row: str
) -> Condition:
    known = parameters(parameter.rtype)
    components = [known[code] for code, _ in parameter.components]
    rtype = RESOURCE_TYPES[columns.number - 1]
    rows = [value.parts for value in values if isinstance(value, Composite)]
    if len(rows) < len(values):
        raise _unsupported(parameter, modifier)

    def meets(parts: Sequence[Value], one: SearchParameter) -> Condition:
        return criterion_condition(rtype, Criterion(one, "", tuple(dict.fromkeys(parts))), row)

    if len(rows) == 1:
        return all_of([meets([part], one) for one, part in zip(components, rows[0], strict=True)])
    found = [
        all_of([of_the_row(meets(parts, one)) for one, parts in zip(components, slots, strict=True)])
        for slots in gathered(rows)
    ]
    # What all of them ask of the first component together is a way to the rows that are to be looked at one by one.
    way = [meets([parts[0] for parts in rows], components[0])] if len(found) > 1 else []
    return all_of([*way, any_of(found)])


def _beside(table: str, parameter: SearchParameter, condition: Condition, row: str) -> Condition:
    """A row of a table beside res meets the condition on alias s."""
    if condition is NEVER:
        return NEVER
    sql = f"exists (select from {table} s where s.rid = {row}.rid and s.sp = %s and {condition.sql})"
    return Condition(sql, (parameter.id, *condition.values))


_Maker = Callable[[Columns, SearchParameter, str, Sequence[Value], str], Condition]
_CONDITIONS: dict[str, _Maker] = {
    "token": _tokens,
    "string": _strings,
    "date": _dates,
    "reference": _references,
    "quantity": _quantities,
    "number": _quantities,
    "uri": _uris,
    "composite": _composites,
}


def _is_supported(parameter: SearchParameter, modifier: str) -> bool:
    """Modifiers handled here (:not and :missing are handled before); a reference's may be a type."""
    if parameter.type == "reference":
        return modifier == "identifier" or modifier[:1].isupper()
    return modifier in _MODIFIERS.get(parameter.type, ())


_MODIFIERS = {
    "string": ("exact", "contains", "=eq"),
    "token": ("text", "of-type"),
    "uri": ("above", "below"),
}


def _unsupported(parameter: SearchParameter, what: str) -> OutcomeError:
    text = f"The search parameter {parameter.code} cannot be searched by {what or 'this value'} here yet."
    return OutcomeError(Issue("not-supported", text, parameter.code))
