"""unify.identity.compare: how far two Records agree, field by field: one level of agreement for each field.

Room: unify. May import: record, names. A field that one of the two does not state has no level: silence is no evidence.
"""

from __future__ import annotations

from collections.abc import Iterator

from rapidfuzz import fuzz
from rapidfuzz.distance import DamerauLevenshtein, JaroWinkler

from careloom.unify.identity.names import common_middles, formal, forms, is_listed
from careloom.unify.identity.normalise import Address, Birth, Name
from careloom.unify.identity.record import Identifiers, Record

_SIMILAR = 0.92
_NEAR = 0.85
_HALF_ALIKE = 0.75
_ALIKE_STREETS = 85
_SHORTEST_STREET = 8
_SLIPS = 2
_LONG_NUMBER = 7
_SEQUENCE = 5
_GIVEN_ORDER = ("exact", "nickname", "middle", "swapped", "similar", "crossed", "initial", "near", "differs")
_FAMILY_ORDER = ("exact", "previous", "swapped", "part", "similar", "near", "differs")


def levels(one: Record, two: Record) -> Iterator[tuple[str, str, str]]:
    """Yield (field, level, name) for each field that both records state; `name` is the agreed name, or empty.

    The name is for the term frequency only; it must not be kept or logged.
    """
    if given := _best(_GIVEN_ORDER, (_given(a, b) for a in one.names for b in two.names)):
        yield "given", *given
    if middle := _middle(one, two):
        yield "middle", middle, ""
    if family := _best(_FAMILY_ORDER, (_family(a, b) for a in one.names for b in two.names)):
        # Women take another name at marriage more often than men.
        is_hers = family[0] == "differs" and one.sex == two.sex == "female"
        yield "family", "changed" if is_hers else family[0], family[1]
    if one.birth and two.birth:
        yield "birth", birth(one.birth, two.birth), ""
    if one.sex and two.sex:
        yield "sex", "same" if one.sex == two.sex else "differs", ""
    for field, level in (
        ("national", identifiers(one.national, two.national)),
        ("issued", "exact" if one.issued & two.issued else ""),
        ("other", "exact" if one.other & two.other else ""),
        ("phone", _shared(one.phones, two.phones)),
        ("email", _shared(one.emails, two.emails)),
        ("address", _addresses(one.addresses, two.addresses)),
        ("place", _places(one.addresses, two.addresses)),
    ):
        if level:
            yield field, level, ""


def _best(order: tuple[str, ...], found: Iterator[tuple[str, str] | None]) -> tuple[str, str] | None:
    return min(
        (each for each in found if each), key=lambda each: (order.index(each[0]), each[1]), default=None
    )


def _given(one: Name, two: Name) -> tuple[str, str] | None:
    if not one.given or not two.given:
        return None
    a, b = one.given[0], two.given[0]
    if a == b and len(a) > 1:
        return "exact", a
    if "".join(one.given) == "".join(two.given) and len(a) > 1 and len(b) > 1:
        return "exact", "".join(one.given)
    if is_swapped(one, two):
        return "swapped", ""
    level = given_level(a, b, one.given[1:], two.given[1:])
    return ("crossed" if level in {"near", "differs"} and _is_crossed(one, two) else level), ""


def given_level(a: str, b: str, middles_a: tuple[str, ...] = (), middles_b: tuple[str, ...] = ()) -> str:
    """The level of two different first names.

    >>> given_level("bob", "robert"), given_level("jon", "jonh"), given_level("mason", "jason")
    ('nickname', 'similar', 'near')
    """
    if len(a) == 1 or len(b) == 1:
        return "initial" if a[:1] == b[:1] else "differs"
    if formal(a) & formal(b):
        return "nickname"
    if a in middles_b or b in middles_a:
        return "middle"
    likeness = JaroWinkler.similarity(a, b)
    is_slip = likeness >= _SIMILAR or (min(len(a), len(b)) > 3 and DamerauLevenshtein.distance(a, b) == 1)  # noqa: PLR2004
    if is_slip or _is_slip_of_form(a, b) or _is_slip_of_form(b, a):
        # Two common names that look alike (Jason, Mason; Anna, Anne) are twins as often as slips.
        return "near" if is_listed(a) and is_listed(b) else "similar"
    return "near" if likeness >= _NEAR and not (is_listed(a) and is_listed(b)) else "differs"


def _is_slip_of_form(known: str, written: str) -> bool:
    """True if `written` is no common name, and one slip away from another form of `known` (Margaret, Magige)."""
    if len(written) < 4 or is_listed(written):  # noqa: PLR2004
        return False
    return any(
        len(form) > 3 and DamerauLevenshtein.distance(form, written, score_cutoff=1) == 1  # noqa: PLR2004
        for form in forms(known)
    )


def _is_crossed(one: Name, two: Name) -> bool:
    """True if the names of one were exchanged, and the other has taken another family name since."""
    return _is_exchange_of(one, two) or _is_exchange_of(two, one)


def _is_exchange_of(name: Name, exchanged: Name) -> bool:
    # A brother of one whose names were exchanged shares a word with him too: the family name. So the shared word must
    # be a given name, and what stands beside it none.
    shared, beside = exchanged.family, exchanged.given[0]
    return name.given[0] == shared and is_listed(shared) and not is_listed(beside) and len(beside) > 1


def is_swapped(one: Name, two: Name) -> bool:
    """True if each one's given name looks like the other's family name, and their own do not."""
    if not (one.family and two.family and one.given and two.given) or one.given[0] == two.given[0]:
        return False
    low, high = sorted(
        JaroWinkler.similarity("".join(a.given), b.family.replace(" ", ""))
        for a, b in ((one, two), (two, one))
    )
    return low >= _NEAR or (low >= _HALF_ALIKE and high == 1)


def _middle(one: Record, two: Record) -> str:
    a = {word for name in one.names for word in name.given[1:]}
    b = {word for name in two.names for word in name.given[1:]}
    if not a or not b:
        return ""
    if shared := {word for word in a & b if len(word) > 1}:
        return "common" if shared <= common_middles() else "exact"
    initials = {word[0] for word in a} & {word[0] for word in b}
    has_initial = any(len(word) == 1 for word in a | b)
    return "initial" if initials and has_initial else "differs"


def _family(one: Name, two: Name) -> tuple[str, str] | None:
    a, b = one.family, two.family
    if not a or not b:
        return None
    if a.replace(" ", "") == b.replace(" ", ""):
        return ("exact", a) if one.is_previous == two.is_previous else ("previous", "")
    if is_swapped(one, two):
        return "swapped", ""
    if " " in a + b and any(len(word) > 2 for word in set(a.split()) & set(b.split())):  # noqa: PLR2004
        return "part", ""
    likeness = JaroWinkler.similarity(a, b)
    is_slip = min(len(a), len(b)) > 3 and DamerauLevenshtein.distance(a, b) == 1  # noqa: PLR2004
    if likeness >= _SIMILAR or is_slip:
        return "similar", ""
    return "near" if likeness >= _NEAR else "differs", ""


def birth(one: Birth, two: Birth) -> str:
    """The level of two birth dates.

    >>> birth(Birth(1960, 3, 7), Birth(1960, 7, 3)), birth(Birth(1960, 3, 7), Birth(1970, 3, 7))
    ('swapped', 'digit')
    >>> birth(Birth(1960, 1, 1), Birth(1960, 7, 3)), birth(Birth(1960, 3, 7), Birth(1985, 6, 9))
    ('year', 'differs')
    """
    if not (one.is_full and two.is_full) or one.is_january_first or two.is_january_first:
        return _partial(one, two)
    if one == two:
        return "exact"
    if one.year == two.year and (one.month, one.day) == (two.day, two.month):
        return "swapped"
    if DamerauLevenshtein.distance(one.digits, two.digits) == 1 and len(one.digits) == len(two.digits):
        return "digit"
    if (one.month, one.day) == (two.month, two.day) and _is_year_slip(one.year, two.year):
        return "year_slip"
    return "same_month" if (one.year, one.month) == (two.year, two.month) else "differs"


def _partial(one: Birth, two: Birth) -> str:
    """One of the two knows the year only, says 1 January (which may mean that), or knows no day."""
    if one.year != two.year:
        is_slip = (one.month, one.day) == (two.month, two.day) and one.is_full
        return "year_slip" if is_slip and _is_year_slip(one.year, two.year) else "differs"
    if one.month and one.month == two.month and not (one.is_january_first and two.is_january_first):
        return "year_month"
    knows_months = one.month and two.month and not (one.is_january_first or two.is_january_first)
    return "differs" if knows_months else "year"


def _is_year_slip(one: int, two: int) -> bool:
    return abs(one - two) in {1, 10, 100} or sorted(str(one)) == sorted(str(two))


def identifiers(one: Identifiers, two: Identifiers) -> str:
    """The level of two sets of numbers: only numbers of the same system are compared."""
    if one & two:
        return "exact"
    pairs = [(a, b) for system, a in one for other, b in two if system == other]
    if not pairs:
        return ""
    return "slip" if any(_is_slip_of_number(a, b) for a, b in pairs) else "differs"


def _is_slip_of_number(one: str, two: str) -> bool:
    # Brothers and sisters registered together get numbers in sequence: that is no slip of the pen.
    if one.isdecimal() and two.isdecimal() and abs(int(one) - int(two)) <= _SEQUENCE:
        return False
    allowed = _SLIPS if min(len(one), len(two)) >= _LONG_NUMBER else 1
    return DamerauLevenshtein.distance(one, two, score_cutoff=allowed) <= allowed


def _shared(one: frozenset[str], two: frozenset[str]) -> str:
    if not one or not two:
        return ""
    if one & two:
        return "exact"
    is_slip = any(DamerauLevenshtein.distance(a, b, score_cutoff=1) == 1 for a in one for b in two)
    return "slip" if is_slip else "differs"


def _addresses(one: frozenset[Address], two: frozenset[Address]) -> str:
    found = {_address(a, b) for a in one if a.street for b in two if b.street}
    return next((level for level in ("exact", "similar", "street", "differs") if level in found), "")


def _address(one: Address, two: Address) -> str:
    if one.number == two.number and one.street == two.street:
        return "exact"
    if not _is_alike_street(one.street, two.street):
        return "differs"
    is_slip = DamerauLevenshtein.distance(one.number, two.number) <= 1
    return "similar" if is_slip or not (one.number and two.number) else "street"


def _is_alike_street(one: str, two: str) -> bool:
    # Words in any order and run together: lines come exchanged, and a part of them is often left out.
    a, b = one.replace(" ", ""), two.replace(" ", "")
    if min(len(a), len(b)) < _SHORTEST_STREET:
        return a == b
    return max(fuzz.token_set_ratio(one, two), fuzz.partial_ratio(a, b)) >= _ALIKE_STREETS


def _places(one: frozenset[Address], two: frozenset[Address]) -> str:
    codes = {a.postal_code for a in one} - {""}, {b.postal_code for b in two} - {""}
    cities = {a.city for a in one} - {""}, {b.city for b in two} - {""}
    if codes[0] & codes[1]:
        return "postal_code"
    if cities[0] & cities[1]:
        return "city"
    return "differs" if (codes[0] and codes[1]) or (cities[0] and cities[1]) else ""
