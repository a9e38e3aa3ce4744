"""demo.population: the people of the synthetic hospital, and how each of three systems writes them down.

Room: demo. Pure: a seed gives always the same people. The error mix follows 398,939 confirmed duplicates
(PMC4832129: the middle name differs in 58 %, half of the first-name mismatches are misspellings).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from random import Random
from typing import Literal

from careloom.demo.names import FAMILY, FEMALE, MALE, NICKNAMES, STREETS, TOWNS

System = Literal["ehr", "clinic", "lab"]
SYSTEMS: tuple[System, ...] = ("ehr", "clinic", "lab")
Sex = Literal["female", "male"]

MIDDLE_DIFFERS = 0.58
GIVEN_DIFFERS = 0.08
FAMILY_MISSPELT = 0.04
MAIDEN_NAME = 0.25
"""Of married women, in a system that has not heard of the marriage."""
DAY_MONTH_SWAPPED = 0.02
BIRTH_DATE_OFF = 0.02
MOVED = 0.25
PHONE_CHANGED = 0.2
MISSING = 0.06


@dataclass(frozen=True, slots=True)
class Details:
    """What a system writes on a form. An empty text: nothing was written."""

    family: str
    given: str
    middle: str
    sex: Sex
    born: date
    street: str
    town: str
    postcode: str
    phone: str


@dataclass(frozen=True, slots=True)
class Person:
    """One human being: the truth, and the systems that know them."""

    number: int
    truth: Details
    maiden: str
    systems: tuple[System, ...]
    kind: Literal["", "star", "twin", "namesake", "spouse"] = ""


@dataclass(frozen=True, slots=True)
class Registration:
    """A person as one system knows them, under that system's own number."""

    person: int
    system: System
    number: str
    details: Details


def people(seed: int, count: int) -> list[Person]:
    """`count` people; the first is the star, then the pairs that are easily taken for one person."""
    rng = Random(f"people:{seed}")  # noqa: S311 - a synthetic hospital, not a secret
    found = [star()]
    for kind in ("twin", "twin", "namesake", "namesake", "spouse", "spouse", "spouse"):
        one = _person(rng, len(found) + 1, kind)
        found += [one, _second(rng, one)]
    while len(found) < count:
        found.append(_person(rng, len(found) + 1, ""))
    return found[:count]


def star() -> Person:
    """The woman of the story: known to all three systems, under three different descriptions."""
    truth = Details(
        "Whitfield", "Rosalind", "Grace", "female", date(1958, 4, 7),
        "14 Selvedge Avenue", "Loomford", "LF1 4QT", "01632 960147",
    )  # fmt: skip
    return Person(1, truth, "Hardcastle", SYSTEMS, "star")


def registrations(seed: int, person: Person) -> dict[System, Registration]:
    """How each system that knows the person has written them down."""
    written: dict[System, Registration] = {}
    for system in person.systems:
        rng = Random(f"registration:{seed}:{person.number}:{system}")  # noqa: S311
        details = _star(person, system) if person.kind == "star" else _written(rng, person, system)
        written[system] = Registration(person.number, system, _number(system, person.number), details)
    return written


def _star(person: Person, system: System) -> Details:
    match system:
        case "ehr":
            return replace(person.truth, middle="")
        case "clinic":
            return replace(person.truth, family=person.maiden)
        case "lab":
            return replace(person.truth, born=date(1958, 7, 4))


def _person(rng: Random, number: int, kind: str) -> Person:
    sex: Sex = "female" if rng.random() < 0.53 else "male"  # noqa: PLR2004
    if kind == "namesake":
        sex = "male"
    born = date(1934, 1, 1) + timedelta(days=rng.randrange(0, 72 * 365))
    town, postcode = rng.choice(TOWNS)
    given, middle = rng.sample(FEMALE if sex == "female" else MALE, 2)
    truth = Details(
        rng.choice(FAMILY), given, middle, sex, born,
        f"{rng.randrange(1, 120)} {rng.choice(STREETS)}", town, postcode, f"01632 960{150 + number:03}",
    )  # fmt: skip
    maiden = rng.choice(FAMILY) if sex == "female" and rng.random() < 0.55 else ""  # noqa: PLR2004
    systems = ("ehr", "clinic") if kind else _systems(rng)
    return Person(number, truth, maiden, systems, kind)  # pyright: ignore[reportArgumentType]


def _second(rng: Random, one: Person) -> Person:
    """The other half of a pair: same house, and much of the same name."""
    truth = one.truth
    match one.kind:
        case "twin":
            names = [name for name in (FEMALE if truth.sex == "female" else MALE) if name != truth.given]
            given, middle = rng.sample(names, 2)
            other = replace(truth, given=given, middle=middle)
        case "namesake":
            younger = truth.born + timedelta(days=rng.randrange(24 * 365, 34 * 365))
            other = replace(truth, born=min(younger, date(2006, 1, 1)), middle=rng.choice(MALE))
        case _:
            sex: Sex = "male" if truth.sex == "female" else "female"
            given, middle = rng.sample(FEMALE if sex == "female" else MALE, 2)
            born = truth.born + timedelta(days=rng.randrange(-5 * 365, 5 * 365))
            other = replace(truth, given=given, middle=middle, sex=sex, born=born)
    return replace(one, number=one.number + 1, truth=other, maiden="")


def _systems(rng: Random) -> tuple[System, ...]:
    known: tuple[System, ...] = tuple(
        system for system, share in zip(SYSTEMS, (0.8, 0.55, 0.6), strict=True) if rng.random() < share
    )
    return known or ("ehr",)


def _written(rng: Random, person: Person, system: System) -> Details:
    """The truth as it came out of one registration desk; the hospital's own is the most careful."""
    details = replace(person.truth)
    if system == "ehr":
        return replace(details, middle="" if rng.random() < 0.15 else details.middle)  # noqa: PLR2004
    if rng.random() < MIDDLE_DIFFERS:
        details = replace(
            details, middle=rng.choice(("", "", "", details.middle[:1], _typo(rng, details.middle)))
        )
    if rng.random() < GIVEN_DIFFERS:
        # The other half goes by a nickname, or by the second name.
        others = NICKNAMES.get(details.given, (person.truth.middle,))
        is_misspelt = rng.random() < 0.5  # noqa: PLR2004
        details = replace(details, given=_typo(rng, details.given) if is_misspelt else rng.choice(others))
    if person.maiden and rng.random() < MAIDEN_NAME:
        details = replace(details, family=person.maiden)
    elif rng.random() < FAMILY_MISSPELT:
        details = replace(details, family=_typo(rng, details.family))
    details = replace(details, born=_born(rng, details.born))
    if rng.random() < MOVED:
        town, postcode = rng.choice(TOWNS)
        street = f"{rng.randrange(1, 120)} {rng.choice(STREETS)}"
        details = replace(details, street=street, town=town, postcode=postcode)
    if rng.random() < PHONE_CHANGED:
        details = replace(details, phone=f"01632 960{rng.randrange(500, 999)}")
    return _with_gaps(rng, details)


def _born(rng: Random, born: date) -> date:
    if rng.random() < DAY_MONTH_SWAPPED and born.day <= 12:  # noqa: PLR2004
        return date(born.year, born.day, born.month)
    if rng.random() < BIRTH_DATE_OFF:
        return born + timedelta(days=rng.choice((-10, -1, 1, 10)))
    return born


def _with_gaps(rng: Random, details: Details) -> Details:
    if rng.random() < MISSING:
        details = replace(details, street="", town="", postcode="")
    return replace(details, phone="") if rng.random() < 2 * MISSING else details


def _typo(rng: Random, text: str) -> str:
    """One slip of the keyboard: two letters swapped, one lost, or one doubled."""
    if len(text) < 3:  # noqa: PLR2004
        return text
    at = rng.randrange(1, len(text) - 1)
    return rng.choice(
        (
            text[:at] + text[at + 1] + text[at] + text[at + 2 :],
            text[:at] + text[at + 1 :],
            text[:at] + text[at] + text[at:],
        )
    )


def _number(system: System, person: int) -> str:
    match system:
        case "ehr":
            return f"{100000 + person * 37}"
        case "clinic":
            return f"CL-{person * 7919 % 100000:05}"
        case "lab":
            return f"L{500000 + person * 101}"
