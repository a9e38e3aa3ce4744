"""unify.identity.normalise: one spelling for each demographic value, and nothing where nothing is known.

Room: unify. May import: the name tables. Every function here is pure, total (any text is accepted) and idempotent.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from careloom.unify.identity.names import placeholders, street_words, suffixes

_LETTERS = str.maketrans({"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"})  # noqa: RUF001
_APOSTROPHES = re.compile(r"['’`´.]")  # noqa: RUF001
_PARTS = re.compile(r"[\W_]+")
_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")
_NATIONAL_PLACEHOLDERS = frozenset({"123456789", "987654321", "078051120", "219099999", "1234567890"})
_PHONE_LENGTHS = range(7, 16)
_EMAIL_PLACEHOLDERS = frozenset({"none", "noemail", "no", "test", "unknown", "na", "nomail", "x", "noreply"})
_OLDEST_YEAR = 1900


@dataclass(frozen=True, slots=True)
class Name:
    """A name in one spelling: `given` first and middle names, `family` as written apart from accents and case."""

    given: tuple[str, ...] = ()
    family: str = ""
    suffix: str = ""
    is_previous: bool = False
    """A maiden name, or one no longer used."""


@dataclass(frozen=True, slots=True)
class Birth:
    """A birth date as far as it is known; 0 where it is not."""

    year: int
    month: int = 0
    day: int = 0

    @property
    def is_full(self) -> bool:
        """True if a day is known."""
        return self.day > 0

    @property
    def is_january_first(self) -> bool:
        """1 January is what registration clerks write when they know the year only."""
        return self.month == 1 and self.day == 1

    @property
    def digits(self) -> str:
        """Eight digits, zeros where nothing is known."""
        return f"{self.year:04d}{self.month:02d}{self.day:02d}"


@dataclass(frozen=True, slots=True)
class Address:
    """A postal address: house number, words of the street in order, postal code, town."""

    number: str = ""
    street: str = ""
    postal_code: str = ""
    city: str = ""


def words(text: str) -> list[str]:
    """Words in one case, without accents and punctuation.

    >>> words("O'Brien-Müller, Seán")
    ['obrien', 'muller', 'sean']
    """
    # Fold first and drop the marks last: folding may compose new ones (U+0130 becomes i with a dot above).
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold()).translate(_LETTERS)
    plain = "".join(letter for letter in folded if not unicodedata.combining(letter))
    return [part for part in _PARTS.split(_APOSTROPHES.sub("", plain)) if part]


def name(given: list[str], family: str, suffix: list[str], *, is_previous: bool = False) -> Name | None:
    """A name in one spelling; None if only placeholders (`Baby Boy`, `UNKNOWN`, `John Doe`) stand in it.

    >>> name(["Mary Ann"], "Smith Jr.", [])
    Name(given=('mary', 'ann'), family='smith', suffix='jr', is_previous=False)
    >>> name(["Baby Boy"], "Unknown", []) is None
    True
    """
    given_words = [word for text in given for word in words(text)]
    family_words = words(family)
    generation = next((suffixes()[word] for text in suffix for word in words(text) if word in suffixes()), "")
    # A suffix is often typed into the family name; a single letter V is more likely an initial.
    if len(family_words) > 1 and family_words[-1] in suffixes() and family_words[-1] != "v":
        generation = generation or suffixes()[family_words.pop()]
    if " ".join([*given_words, *family_words]) in placeholders("whole"):
        return None
    if given_words and given_words[0] in placeholders("given"):
        given_words = []
    if any(word in placeholders("family") for word in family_words):
        family_words = []
    if not given_words and not family_words:
        return None
    return Name(tuple(given_words), " ".join(family_words), generation, is_previous)


def birth(text: str) -> Birth | None:
    """A FHIR date; None for placeholders such as 1900-01-01 and for what is no date.

    >>> birth("1960-07"), birth("1900-01-01")
    (Birth(year=1960, month=7, day=0), None)
    """
    found = _DATE.fullmatch(text.strip()[:10])
    if found is None:
        return None
    year, month, day = (int(part or 0) for part in found.groups())
    if year < _OLDEST_YEAR or year == 9999 or (year == _OLDEST_YEAR and month <= 1 and day <= 1):  # noqa: PLR2004
        return None
    return Birth(year, month, day)


def identifier(text: str) -> str:
    """An identifier without case and punctuation; empty if it is a placeholder (000-00-0000, 123456789).

    >>> identifier("123-45-6780"), identifier("999-99-9999")
    ('123456780', '')
    """
    value = "".join(character for character in text.upper() if character.isalnum())
    if len(set(value)) <= 1 or value in _NATIONAL_PLACEHOLDERS:
        return ""
    return value


def phone(text: str) -> str:
    """The last nine digits of a telephone number: the same with or without country code and trunk 0.

    >>> phone("+1 (206) 555-0143"), phone("001 206 555 0143 x12"), phone("999-9999")
    ('065550143', '065550143', '')
    """
    main = re.split(r"(?:x|ext)\D*\d+\s*$", text.lower())[0]
    digits = "".join(character for character in main if character.isascii() and character.isdigit())
    digits = digits.removeprefix("00").lstrip("0")
    if len(digits) not in _PHONE_LENGTHS or len(set(digits)) <= 2 or digits in _NATIONAL_PLACEHOLDERS:  # noqa: PLR2004
        return ""
    return digits[-9:]


def email(text: str) -> str:
    """An e-mail address in one case; empty if it is a placeholder.

    >>> email("Ann.Lee@Example.ORG "), email("none@none.com")
    ('ann.lee@example.org', '')
    """
    value = text.strip().casefold().removeprefix("mailto:")
    local, at, domain = value.partition("@")
    if not (local and at and "." in domain) or local in _EMAIL_PLACEHOLDERS:
        return ""
    return value


def address(lines: list[str], postal_code: str, city: str) -> Address | None:
    """An address in one spelling; unit words and abbreviations of street types are evened out.

    >>> address(["12 Elm St, Apt 4"], "98101-1234", "Seattle")
    Address(number='12', street='elm street', postal_code='98101', city='seattle')
    """
    found = [street_words().get(word, word) for line in lines for word in words(line)]
    numbers = [word for word in found if word[:1].isdigit()]
    street = " ".join(word for word in found if word and not word[0].isdigit())
    made = Address(numbers[0] if numbers else "", street, _postal_code(postal_code), " ".join(words(city)))
    return made if made != Address() else None


def _postal_code(text: str) -> str:
    value = "".join(words(text))
    # ZIP+4: the last four digits name a block face and are often absent.
    return value[:5] if value.isdigit() and len(value) == 9 else value  # noqa: PLR2004
