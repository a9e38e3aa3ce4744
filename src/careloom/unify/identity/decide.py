"""unify.identity.decide: one person, perhaps, or two: the rules over the score.

Room: unify. May import: score, record. No threshold parts twins, father and son, or spouses: they share so much that
one differing name or date is outweighed. So the score decides only when nothing objects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from careloom.unify.identity.record import Identifiers, Record
from careloom.unify.identity.score import Explanation, explain, limit

Grade = Literal["link", "review", "no"]

_SAME_GIVEN = frozenset({"exact", "nickname", "middle", "swapped", "similar", "crossed", "initial"})
_ONE_GIVEN = frozenset({"exact", "nickname", "swapped"})
# Names that no parents give to two children.
_SAME_FAMILY = frozenset({"exact", "previous", "swapped", "part", "similar"})
_SAME_BIRTH = frozenset({"exact", "swapped", "digit", "year_slip", "same_month", "year", "year_month"})
_SAME_YEAR = frozenset({"exact", "swapped", "same_month", "year_month", "year"})
_SAME_NATIONAL = frozenset({"exact", "slip"})
_NEVER_BY_NUMBER = frozenset({"suffix-conflict", "sex-differs", "issued-conflict", "multiple-birth"})
_GENERATION_YEARS = 13
# Pairs of objections that together leave no room for one person.
_HOPELESS = (
    frozenset({"given-differs", "birth-differs"}),
    frozenset({"given-differs", "national-conflict"}),
    frozenset({"given-near", "national-conflict"}),
    frozenset({"birth-differs", "national-conflict"}),
    frozenset({"given-differs", "birth-unknown"}),
    frozenset({"given-differs", "sex-differs"}),
    frozenset({"given-differs", "issued-conflict"}),
    frozenset({"birth-differs", "issued-conflict"}),
    frozenset({"sex-differs", "issued-conflict"}),
    frozenset({"suffix-conflict", "issued-conflict"}),
    frozenset({"generation", "suffix-conflict"}),
    frozenset({"birth-differs", "suffix-conflict"}),
)
_HARD = frozenset(
    {
        "national-conflict",
        "issued-conflict",
        "suffix-conflict",
        "given-differs",
        "birth-differs",
        "generation",
        "sex-differs",
    }
)
# Objections that also keep two records out of one person when a third would join them.


@dataclass(frozen=True, slots=True)
class Decision:
    """What is held of a pair, by which rule, and why."""

    grade: Grade
    rule: str
    explanation: Explanation


def decide(one: Record, two: Record) -> Decision:
    """Link, review or no; the same whichever comes first.

    The rule is `score`, a deterministic rule (`replaced-by`, `same-number`, `national-id`), or the objection that
    kept the pair from being linked (`given-differs` is the twins' bucket of the review queue).
    """
    why = explain(one, two)
    if two.id in one.merged_with or one.id in two.merged_with:
        return Decision("link", "replaced-by", why)
    against = objections(one, two, why)
    if accepted := _accepted(why, against):
        return Decision("link", accepted, why)
    if against:
        return _objected(why, against)
    if why.probability >= limit("link"):
        return Decision("link", "score", why)
    return Decision("review" if why.probability >= limit("review") else "no", "score", why)


def _accepted(why: Explanation, against: tuple[str, ...]) -> str:
    """The deterministic rule that makes them one, if any."""
    same_given, same_family = why.level("given") in _SAME_GIVEN, why.level("family") in _SAME_FAMILY
    same_birth = why.level("birth") in _SAME_BIRTH
    if why.level("issued") == "exact" and not against and (same_birth or (same_given and same_family)):
        return "same-number"
    if why.level("national") not in _SAME_NATIONAL or _NEVER_BY_NUMBER & set(against):
        return ""
    # The person's number for life and the birth date, or the number and the names: the third may be wrong.
    fits_birth = not why.level("birth") and (same_given or same_family)
    fits_name = same_given and (same_family or _is_household(why))
    return "national-id" if same_birth or fits_birth or fits_name else ""


def _objected(why: Explanation, against: tuple[str, ...]) -> Decision:
    has_number = why.level("national") in _SAME_NATIONAL or why.level("issued") == "exact"
    if not has_number and any(pair <= set(against) for pair in _HOPELESS):
        return Decision("no", against[0], why)
    bound = limit("review" if has_number else "objected")
    return Decision("review" if why.probability >= bound else "no", against[0], why)


def contradicts(one: Record, two: Record) -> bool:
    """True if no third record may bring these two into one person."""
    decision = decide(one, two)
    if decision.grade == "link":
        return False
    against = _HARD & set(objections(one, two, decision.explanation))
    if decision.explanation.level("given") in _SAME_GIVEN and "generation" not in against:
        # One name in one family, and less than a generation apart: two slips of one date, not two people.
        against -= {"birth-differs"}
    return bool(against)


def objections(one: Record, two: Record, why: Explanation) -> tuple[str, ...]:
    """What speaks against one person, the gravest first; whatever the score says."""
    given, birth, is_household = why.level("given"), why.level("birth"), _is_household(why)
    found = (
        ("national-conflict", why.level("national") == "differs" and not _is_same_but_number(why)),
        ("issued-conflict", is_held_for_two(one, two, why)),
        ("suffix-conflict", _has_suffix_conflict(one, two)),
        ("multiple-birth", (one.is_multiple or two.is_multiple) and given not in {"exact", "nickname", ""}),
        (
            "generation",
            birth == "differs" and given in _SAME_GIVEN and _years_apart(one, two) >= _GENERATION_YEARS,
        ),
        ("birth-differs", birth == "differs"),
        ("given-differs", given == "differs"),
        ("sex-differs", why.level("sex") == "differs"),
        ("given-near", given == "near" and (is_household or why.level("family") == "exact")),
        ("birth-unknown", not birth),
    )
    return tuple(name for name, holds in found if holds)


def _is_same_but_number(why: Explanation) -> bool:
    # Two people of one name, born on one day, do not live in one street: the number is wrong.
    given, birth, is_one_family = why.level("given"), why.level("birth"), why.level("family") in _SAME_FAMILY
    is_name_certain = given in _ONE_GIVEN and is_one_family
    if _is_household(why):
        # No home has two children of one day and one name; a slip in the name is a doubt, and then no other may be.
        is_one_child = birth == "exact" and (
            given in _ONE_GIVEN or (given in {"similar", "initial"} and is_one_family)
        )
        return is_one_child or (is_name_certain and birth in {"swapped", "same_month", "digit"})
    is_near = why.level("address") == "street" or why.level("place") == "postal_code"
    return is_near and is_name_certain and birth in {"exact", "swapped"}


def is_held_for_two(one: Record, two: Record, why: Explanation) -> bool:
    """One issuer has given them two numbers that are both alive, and has not plainly registered one person twice."""
    return _has_issued_conflict(one, two) and not _is_registered_twice(why)


def _is_registered_twice(why: Explanation) -> bool:
    # No twin bears the name, no parent was born in the year, no stranger of that name and year has the home.
    given, birth = why.level("given"), why.level("birth")
    if why.level("family") not in _SAME_FAMILY:
        return False
    if why.level("national") == "exact":
        return given in _SAME_GIVEN and birth in _SAME_BIRTH
    return given in {"exact", "swapped"} and birth in _SAME_YEAR and _is_household(why)


def _has_issued_conflict(one: Record, two: Record) -> bool:
    if not (one.is_live and two.is_live):
        return False
    numbers_one, numbers_two = _by_system(one.issued), _by_system(two.issued)
    return any(
        not numbers_one[system] & numbers_two[system] for system in numbers_one.keys() & numbers_two.keys()
    )


def _by_system(identifiers: Identifiers) -> dict[str, set[str]]:
    numbers: dict[str, set[str]] = {}
    for system, value in identifiers:
        numbers.setdefault(system, set()).add(value)
    return numbers


def _has_suffix_conflict(one: Record, two: Record) -> bool:
    # A junior is often written II.
    a = {"ii" if suffix == "jr" else suffix for suffix in one.suffixes}
    b = {"ii" if suffix == "jr" else suffix for suffix in two.suffixes}
    return bool(a and b and not a & b)


def _years_apart(one: Record, two: Record) -> int:
    return abs(one.birth.year - two.birth.year) if one.birth and two.birth else 0


def _is_household(why: Explanation) -> bool:
    return why.level("address") in {"exact", "similar"} or "exact" in {why.level("phone"), why.level("email")}
