"""web.finding: who is meant by what was typed: by exact parts first, over all records of a person; then by close spellings.

Room: web. A name is asked of the store by its beginning (https://hl7.org/fhir/R4/search.html#string); what the store
cannot compare (a slip of the finger, a part that only another record of the same person has) is compared here, among few.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from rapidfuzz.distance import OSA

from careloom.fhir.resource import Resource
from careloom.store.read import Reader
from careloom.unify.identity.normalise import words
from careloom.web.record import Record, escaped, records_of

Pair = tuple[str, str]

MOST = 40
"""People on the page."""

ASKED = 3 * MOST
"""Patients that one question brings: several of them may be one person."""

LOOKED_AT = 300
"""Patients among whom a close spelling is looked for."""

_ISO_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?$")
_LOCAL_DATE = re.compile(r"(\d{1,2})[-./ ]([A-Za-z]{3}|\d{1,2})[-./ ](\d{4})$")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_SOUNDS = ("ck", "iy", "sz", "vw", "jy", "gj", "oø", "lł", "dð", "ea")
"""Letters that stand for each other where a name is written by ear, or without its own alphabet."""


@dataclass(frozen=True, slots=True)
class Found:
    """The people; `is_close`: nobody is called exactly so, these nearly."""

    records: list[Record]
    is_close: bool = False


def found(read: Reader, asked: str) -> Found:
    """Whom this means: each person once, whichever of their records says it."""
    pairs = pairs_of(asked)
    exact = list(_people(read, read.find("Patient", *pairs, count=ASKED)))
    if not exact and len(pairs) > 1:
        exact = _across(read, pairs)
    if exact:
        return Found(exact)
    return Found(_close(read, pairs), is_close=True)


def latest(read: Reader) -> list[Record]:
    """Whose record changed last."""
    return list(_people(read, read.find("Patient", count=MOST, sort="-_lastUpdated")))


def _across(read: Reader, pairs: Sequence[Pair]) -> list[Record]:
    """Who fits all of it with all records together: one source knows the middle name, another the birth date."""
    few = [hits for pair in pairs if len(hits := read.find("Patient", pair, count=LOOKED_AT)) < LOOKED_AT]
    people = _people(read, min(few, key=len)) if few else iter(())
    return [one for one in people if all(_fits(one, name, value) for name, value in pairs)]


def _fits(record: Record, name: str, value: str) -> bool:
    match name:
        case "birthdate":
            born = [str(patient.get("birthDate") or "-") for patient in record.patients]
            return any(one.startswith(day) for one in born for day in value.split(","))
        case "identifier":
            held = (
                one.get("value") for patient in record.patients for one in patient.get("identifier") or ()
            )
            return value in map(escaped, filter(None, held))
        case _:
            typed = " ".join(words(value))
            return any(part.startswith(typed) for part in _spelt(record.patients))


def _close(read: Reader, pairs: Sequence[Pair]) -> list[Record]:
    """Who is called nearly so, the nearest first; all that is no name must hold as it is."""
    typed = [" ".join(words(value)) for name, value in pairs if name == "name"]
    given = [pair for pair in pairs if pair[0] != "name"]
    if not typed:
        return []
    people: dict[str, Record] = {}
    for beginning in dict.fromkeys(one for word in typed for one in _beginnings(word)):
        hits = read.find("Patient", ("name", escaped(beginning)), *given, count=LOOKED_AT)
        # Who shares a beginning with too many is not told from them by it: a longer one was asked before.
        if len(hits) < LOOKED_AT:
            people.update((one.id, one) for one in _people(read, hits))
    ranked: list[tuple[int, str, Record]] = []
    for one in people.values():
        spelt = _spelt(one.patients)
        slips = [found for word in typed if (found := _slips(word, spelt)) is not None]
        if len(slips) == len(typed):
            ranked.append((sum(slips), one.id, one))
    return [record for _, _, record in sorted(ranked, key=_rank)][:MOST]


def _rank(entry: tuple[int, str, Record]) -> tuple[int, str]:
    return entry[:2]


def _beginnings(word: str) -> Iterator[str]:
    """How a name may begin that is meant by this word: its first half, then less, then other letters of the same sound."""
    half = word[: max(len(word) // 2, 2)]
    yield half
    yield word[:2]
    yield from (word[1::-1], word[0] + word[2:3] + word[1])
    for sounds in _SOUNDS:
        for one, other in (sounds, sounds[::-1]):
            if one in half[:3]:
                yield half[:3].replace(one, other)
    if word.startswith(("f", "ph")):
        yield "ph" if word[0] == "f" else "f"
    yield word[0]


def _spelt(patients: Iterable[Resource]) -> set[str]:
    """Every word of every name, in plain letters."""
    return {
        word
        for patient in patients
        for name in patient.get("name") or ()
        for text in (name.get("family"), name.get("text"), *(name.get("given") or ()))
        if text
        for word in (*words(text), " ".join(words(text)))
    }


def _slips(typed: str, spelt: Iterable[str]) -> int | None:
    """How many letters are wrong, missing, too many or exchanged, at the best; None for more than may be a slip.

    >>> _slips("whitfeild", ["whitfield"]), _slips("jon", ["ann"])
    (1, None)
    """
    allowed = 0 if len(typed) < 4 else 1 if len(typed) < 7 else 2  # noqa: PLR2004
    likely = (min(OSA.distance(typed, one), OSA.distance(typed, one[: len(typed)])) for one in spelt)
    best = min(likely, default=len(typed))
    return best if best <= allowed else None


def _people(read: Reader, hits: Iterable[Resource]) -> Iterator[Record]:
    seen: set[str] = set()
    for record in records_of(read, (patient["id"] for patient in hits)).values():
        if record.id not in seen:
            seen.add(record.id)
            yield record


def pairs_of(asked: str) -> list[Pair]:
    """What was typed, as search parameters: a date, an identifier (it has a digit), else parts of a name.

    >>> pairs_of("okafor 03-May-1980")
    [('name', 'okafor'), ('birthdate', '1980-05-03')]
    >>> pairs_of("MRN1234")
    [('identifier', 'MRN1234')]
    """
    pairs: list[Pair] = []
    for word in re.split(r"[,\s]+", asked):
        if dates := _dates(word):
            pairs.append(("birthdate", ",".join(dates)))
        elif any(letter.isdigit() for letter in word):
            pairs.append(("identifier", escaped(word)))
        elif word:
            pairs.append(("name", escaped(word)))
    return pairs


def _dates(word: str) -> list[str]:
    """The dates that a word may mean: 3/5/1980 is in May in one country and in March in another.

    >>> _dates("3/5/1980"), _dates("03-May-1980"), _dates("25.12.1980"), _dates("1980-05")
    (['1980-05-03', '1980-03-05'], ['1980-05-03'], ['1980-12-25'], ['1980-05'])
    """
    if _ISO_DATE.match(word):
        return [word] if _is_date(word) else []
    local = _LOCAL_DATE.match(word)
    if not local:
        return []
    one, other, year = local.groups()
    if not other.isdigit():
        month = _MONTHS.index(other.lower()) + 1 if other.lower() in _MONTHS else 0
        ways = [(month, int(one))]
    else:
        ways = [(int(other), int(one)), (int(one), int(other))]
    dates = dict.fromkeys(f"{year}-{month:02d}-{day:02d}" for month, day in ways)
    return [one for one in dates if _is_date(one)]


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(f"{text}-01-01"[:10])
    except ValueError:
        return False
    return True
