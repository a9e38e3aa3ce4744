"""verify.registrations: registrations of an invented town with their truth: twins, father and son, spouses, moves.

Room: verify. May import: unify.identity (its name tables). Seeded: the same seed gives the same town. Rates of error
are the project's own guesses: figures measured here show mechanisms, not what a hospital will see.
"""

from __future__ import annotations

import string
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from random import Random
from typing import Any

from careloom.fhir.resource import Resource
from careloom.unify.identity.names import frequent, short_forms

SSN = "http://hl7.org/fhir/sid/us-ssn"
_STREETS = (
    "Oak",
    "Elm",
    "Mill",
    "Lake",
    "Hill",
    "Park",
    "Church",
    "River",
    "Cedar",
    "Station",
    "Garden",
    "Spring",
)
_TYPES = (("Street", "St"), ("Avenue", "Ave"), ("Road", "Rd"), ("Lane", "Ln"), ("Drive", "Dr"))
_SOURCES = (("ehr", 0.9), ("clinic", 0.55), ("lab", 0.5))
_FIRST_DAY = date(1932, 1, 1)
_DAYS = 365 * 90


@dataclass(frozen=True, slots=True)
class Citizen:
    """One invented person."""

    given: str
    middle: str
    family: str
    maiden: str
    suffix: str
    birth: date
    sex: str
    ssn: str
    phone: str
    email: str
    home: tuple[int, str, int, str]
    """House number, street, index of its type, ZIP code."""


@dataclass(frozen=True, slots=True)
class Registration:
    """One Patient of one source, and whose it is."""

    patient: Resource
    citizen: int


def town(people: int, seed: int) -> list[Registration]:
    """The registrations of about `people` people: 1.95 each, over three sources, in no order."""
    random = Random(seed)  # noqa: S311 - an invented town, reproducible on purpose
    citizens = _citizens(people, random)
    found = [
        Registration(patient, number)
        for number, citizen in enumerate(citizens)
        for patient in _registrations(citizen, number, random)
    ]
    random.shuffle(found)
    return found


def _citizens(people: int, random: Random) -> list[Citizen]:
    found = [_citizen(random) for _ in range(people)]
    order = random.sample(range(people), people)
    pairs = iter(zip(order[::2], order[1::2], strict=False))
    for relation, rate in ((_twin, 0.015), (_junior, 0.01), (_spouse, 0.15), (_sibling, 0.05)):
        for _ in range(int(people * rate)):
            one, two = next(pairs)
            found[one], found[two] = relation(found[one], found[two], random)
    return found


def _pick(kind: str, random: Random, most: int | None = None) -> str:
    names = frequent(kind)
    words = list(names)[:most]
    return random.choices(words, [names[word] for word in words])[0].capitalize()


def _citizen(random: Random) -> Citizen:
    sex = random.choice(("female", "male"))
    given, family = _pick(sex, random), _surname(random)
    married = sex == "female" and random.random() < 0.4  # noqa: PLR2004
    return Citizen(
        given=given,
        middle=_pick(sex, random) if random.random() < 0.6 else "",  # noqa: PLR2004
        family=family,
        maiden=_surname(random) if married else "",
        suffix="",
        birth=_FIRST_DAY + timedelta(days=random.randrange(_DAYS)),
        sex=sex,
        ssn=f"{random.randrange(10**8, 9 * 10**8):09d}",
        phone=f"{random.randrange(2 * 10**9, 9 * 10**9)}",
        email=f"{given[0]}{family}{random.randrange(999)}@example.org".lower(),
        home=_home(random),
    )


def _surname(random: Random) -> str:
    if random.random() < 0.5:  # noqa: PLR2004
        return _pick("family", random)
    # The tables hold the common half; the rare half is made of two of them.
    return _pick("family", random)[:4] + _pick("family", random)[-4:].lower()


def _home(random: Random) -> tuple[int, str, int, str]:
    street = random.choice(_STREETS) + random.choice(("", " Ridge", " View", "wood", "field"))
    return (
        random.randrange(1, 900),
        street,
        random.randrange(len(_TYPES)),
        f"{98000 + random.randrange(60):05d}",
    )


def _household(one: Citizen, two: Citizen, random: Random) -> Citizen:
    email = one.email if random.random() < 0.3 else two.email  # noqa: PLR2004
    return replace(two, family=one.family, home=one.home, phone=one.phone, email=email)


def _twin(one: Citizen, two: Citizen, random: Random) -> tuple[Citizen, Citizen]:
    given = one.given[:3] + two.given[2:] if random.random() < 0.3 else two.given  # noqa: PLR2004
    given = given if given != one.given else two.given + "a"
    ssn = f"{int(one.ssn) + random.randrange(1, 4):09d}" if random.random() < 0.5 else two.ssn  # noqa: PLR2004
    child = replace(_household(one, two, random), given=given, birth=one.birth, ssn=ssn, maiden="")
    return replace(one, maiden=""), child


def _junior(one: Citizen, two: Citizen, random: Random) -> tuple[Citizen, Citizen]:
    years = random.randrange(19, 40)
    birth = one.birth + timedelta(days=years * 365 + random.randrange(365))
    son = replace(
        _household(one, two, random), given=one.given, middle=one.middle, birth=birth, sex="male", maiden=""
    )
    return replace(one, sex="male", maiden="", suffix="Sr"), replace(son, suffix="Jr")


def _spouse(one: Citizen, two: Citizen, random: Random) -> tuple[Citizen, Citizen]:
    husband = replace(one, sex="male", given=_pick("male", random), maiden="")
    wife = replace(
        _household(one, two, random), sex="female", given=_pick("female", random), maiden=two.family
    )
    return husband, wife


def _sibling(one: Citizen, two: Citizen, random: Random) -> tuple[Citizen, Citizen]:
    birth = one.birth + timedelta(days=random.randrange(400, 2500))
    return one, replace(_household(one, two, random), birth=birth, maiden="")


def _registrations(citizen: Citizen, number: int, random: Random) -> Iterator[Resource]:
    for source, rate in _SOURCES:
        times = (random.random() < rate) + (source == "ehr" and random.random() < 0.02)  # noqa: PLR2004
        for time in range(times):
            yield _patient(_with_slips(citizen, source, random), f"{source}-{number}-{time}", source, random)


def _with_slips(citizen: Citizen, source: str, random: Random) -> Citizen:
    """What the clerk of this source understood."""

    def happens(rate: float) -> bool:
        return random.random() < rate

    seen = citizen
    if citizen.maiden and source == "ehr" and happens(0.5):
        seen = replace(seen, family=citizen.maiden, maiden="")
    if happens(0.1):
        seen = replace(seen, given=_short_form(seen.given, random))
    if happens(0.06):
        seen = replace(seen, given=_slip(seen.given, random))
    if happens(0.06):
        seen = replace(seen, family=_slip(seen.family, random))
    if happens(0.08):
        seen = replace(seen, birth=_other_day(seen.birth, random))
    if happens(0.2):
        seen = replace(seen, home=_home(random))
    if happens(0.2):
        seen = replace(seen, phone=f"{random.randrange(2 * 10**9, 9 * 10**9)}")
    if happens(0.03):
        seen = replace(seen, ssn=_slip(seen.ssn, random))
    if happens(0.02):
        seen = replace(seen, given=seen.family, family=seen.given)
    return seen


def _short_form(given: str, random: Random) -> str:
    forms = short_forms(given.lower())
    return random.choice(forms).capitalize() if forms else given


def _slip(text: str, random: Random) -> str:
    place = random.randrange(1, max(2, len(text) - 1))
    letters = string.digits if text.isdigit() else string.ascii_lowercase
    head, letter, tail = text[:place], text[place : place + 1], text[place + 1 :]
    kinds = (head + tail, head + tail[:1] + letter + tail[1:], head + random.choice(letters) + tail)
    return random.choice(kinds)


def _other_day(day: date, random: Random) -> date:
    kind = random.randrange(4)
    if kind == 0 and day.day <= 12:  # noqa: PLR2004
        return day.replace(month=day.day, day=day.month)
    if kind == 1:
        return day.replace(month=1, day=1)
    if kind == 2:  # noqa: PLR2004
        return day.replace(year=day.year + random.choice((-10, -1, 1, 10)), day=min(day.day, 28))
    return day.replace(day=random.randrange(1, 29))


def _patient(seen: Citizen, key: str, source: str, random: Random) -> Resource:
    has_all = source != "lab"
    given = [seen.given, seen.middle] if seen.middle and has_all else [seen.given]
    name: dict[str, Any] = {"use": "official", "family": seen.family, "given": given}
    if seen.suffix and random.random() < 0.4:  # noqa: PLR2004
        name["suffix"] = [seen.suffix]
    names = [name]
    if seen.maiden and source == "clinic" and random.random() < 0.3:  # noqa: PLR2004
        names.append({"use": "maiden", "family": seen.maiden, "given": [seen.given]})
    patient: Resource = {
        "resourceType": "Patient",
        "id": key,
        "meta": {"source": f"urn:careloom:source:{source}"},
        "identifier": [{"system": f"urn:careloom:mrn:{source}", "value": f"{source}{key}"}],
        "name": names,
        "gender": seen.sex,
    }
    if random.random() > 0.01:  # noqa: PLR2004
        patient["birthDate"] = seen.birth.isoformat()
    if has_all and random.random() < 0.55:  # noqa: PLR2004
        patient["identifier"].append({"system": SSN, "value": seen.ssn})
    patient["telecom"] = _telecoms(seen, random, has_all=has_all)
    if has_all or random.random() < 0.3:  # noqa: PLR2004
        patient["address"] = [_address(seen, random)]
    return patient


def _telecoms(seen: Citizen, random: Random, *, has_all: bool) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    if random.random() < (0.8 if has_all else 0.4):
        found.append({"system": "phone", "value": f"+1{seen.phone}"})
    if has_all and random.random() < 0.5:  # noqa: PLR2004
        found.append({"system": "email", "value": seen.email})
    return found


def _address(seen: Citizen, random: Random) -> dict[str, Any]:
    number, street, kind, code = seen.home
    return {
        "line": [f"{number} {street} {random.choice(_TYPES[kind])}"],
        "city": "Northport",
        "postalCode": code,
    }
