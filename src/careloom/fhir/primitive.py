"""fhir.primitive: whether a JSON value is a value of a primitive type of R4.

Room: fhir. May import: fhir.facts. Standard: https://hl7.org/fhir/R4/datatypes.html#primitive

The published regular expressions rule, except where they are slow or let through what the text of the standard
forbids: dates must be in the calendar, strings hold no control characters, base64 is checked as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any

from careloom.fhir.facts import facts, resource_types
from careloom.fhir.narrative import is_narrative

Test = Callable[[Any], bool]

_INTEGERS = {
    "integer": (-(2**31), 2**31 - 1),
    "unsignedInt": (0, 2**31 - 1),
    "positiveInt": (1, 2**31 - 1),
}
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_BASE64 = re.compile(r"[0-9A-Za-z+/]*={0,2}")
_DAY = re.compile(r"\d{4}(-\d\d(-\d\d)?)?", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)


MEDIA_TYPE = re.compile(r"[\w!#$&^.+-]{1,127}/[\w!#$&^.+-]{1,127}(\s*;.*)?", re.ASCII)
LANGUAGE = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_GRAMMARS = {
    "Attachment.contentType": MEDIA_TYPE,
    "Attachment.language": LANGUAGE,
    "Binary.contentType": MEDIA_TYPE,
    "Money.currency": _CURRENCY,
    "Signature.sigFormat": MEDIA_TYPE,
    "Signature.targetFormat": MEDIA_TYPE,
}
"""Elements of type code that are bound to what a grammar writes (BCP 13, BCP 47, ISO 4217) and no list holds."""


def grammar_test(owner: str, name: str) -> Test | None:
    """The test of a code by the grammar of its system, if the element has such; `language` of any resource has.

    >>> grammar_test("Binary", "contentType")("text plain")
    False
    """
    is_of_resource = name == "language" and owner in resource_types()
    grammar = LANGUAGE if is_of_resource else _GRAMMARS.get(f"{owner}.{name}")
    return None if grammar is None else _of_grammar(grammar)


def _of_grammar(grammar: re.Pattern[str]) -> Test:
    return lambda value: type(value) is str and grammar.fullmatch(value) is not None


@cache
def test_of(kind: str) -> Test:
    """The test of a primitive type; it takes any JSON value and never raises.

    >>> test_of("date")("2020-02-30"), test_of("code")("final")
    (False, True)
    """
    if kind in _INTEGERS:
        return _integer(*_INTEGERS[kind])
    if kind in _TESTS:
        return _TESTS[kind]
    # ASCII: in the regular expressions of FHIR (as of Java) \\s and \\S do not know the white space of Unicode.
    pattern = facts().primitives[kind].replace("\\S*", "\\S+")
    if kind == "code":
        # The text of the standard allows single spaces and no other white space; its pattern would take a tab.
        pattern = pattern.replace("(\\s", "( ")
    matches = re.compile(pattern, re.ASCII).fullmatch
    if kind in _WORDS:
        return _word(matches)
    return lambda value: type(value) is str and matches(value) is not None


# Types of which every text without white space and control characters is one; most are, so no regex is asked.
_WORDS = frozenset({"code", "uri", "url", "canonical"})


def _word(matches: Callable[[str], object]) -> Test:
    def is_word(value: Any) -> bool:
        if type(value) is not str or value == "":
            return False
        if value.isprintable() and " " not in value:
            return True
        return matches(value) is not None and _CONTROL.search(value) is None

    return is_word


def code_test(codes: frozenset[str]) -> Test:
    """The test of a code that a required binding holds to these codes."""
    return lambda value: type(value) is str and value in codes


def _is_boolean(value: Any) -> bool:
    return value is True or value is False


def _integer(lowest: int, highest: int) -> Test:
    return lambda value: type(value) is int and lowest <= value <= highest


def _is_decimal(value: Any) -> bool:
    kind = type(value)
    if kind is Decimal:
        return value.is_finite()
    return kind is int or (kind is float and value - value == 0)


def _is_string(value: Any) -> bool:
    if type(value) is not str or value == "":
        return False
    return value.isprintable() or _CONTROL.search(value) is None


def _is_base64(value: Any) -> bool:
    if type(value) is not str or not value:
        return False
    text = value if value.isascii() and value.isprintable() and " " not in value else "".join(value.split())
    return len(text) % 4 == 0 and text != "" and _BASE64.fullmatch(text) is not None


def _is_date(value: Any) -> bool:
    if type(value) is not str or _DAY.fullmatch(value) is None:
        return False
    try:
        date.fromisoformat(value + "-01-01"[len(value) - 4 :] if len(value) < 10 else value)  # noqa: PLR2004 yyyy-mm-dd
    except ValueError:
        return False
    return True


def _is_instant(value: Any) -> bool:
    return type(value) is str and _names_an_instant(value)


@lru_cache(maxsize=8192)  # the resources of one encounter repeat its moments
def _names_an_instant(text: str) -> bool:
    if _MOMENT.fullmatch(text) is None:
        return False
    if text[17:19] == "60":
        text = text[:17] + "59" + text[19:]
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    # The zones of R4 end at 14:00.
    return text[-1] == "Z" or text[-5:] <= "14:00"


def _is_date_time(value: Any) -> bool:
    if type(value) is not str:
        return False
    return _names_an_instant(value) if len(value) > 10 else _is_date(value)  # noqa: PLR2004 yyyy-mm-dd


_TESTS: dict[str, Test] = {
    "boolean": _is_boolean,
    "decimal": _is_decimal,
    "string": _is_string,
    "markdown": _is_string,
    "base64Binary": _is_base64,
    "date": _is_date,
    "dateTime": _is_date_time,
    "instant": _is_instant,
    "xhtml": is_narrative,
}
