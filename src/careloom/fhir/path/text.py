"""fhir.path.text: functions of strings. Regular expressions are bounded in time.

Room: fhir. May import: fhir.path, regex. Standard: http://hl7.org/fhirpath/N1/#string-manipulation
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import time
from collections.abc import Callable
from typing import Any

import regex

from careloom.fhir.path.arguments import EMPTY, bounded, integer, single, text, truth
from careloom.fhir.path.env import CHARACTERS, MAX_TEXT, Env
from careloom.fhir.path.expression import pattern_of
from careloom.fhir.path.fault import execution_error, too_costly
from careloom.fhir.path.function import FUNCTIONS, Function, function
from careloom.fhir.path.value import Collection


def _on_text(name: str, run: Callable[[str], Any]) -> None:
    """A function of one string; nothing of nothing."""

    def on_input(env: Env, items: Collection) -> Collection:
        value = text(items, f"{name}()")
        if value is None:
            return EMPTY
        env.spend(len(value) // CHARACTERS)
        return [run(value)]

    FUNCTIONS[name] = Function(on_input, 0, 0)


_on_text("upper", str.upper)
_on_text("lower", str.lower)
_on_text("trim", str.strip)
_on_text("length", len)


def _on_two(name: str, run: Callable[[str, str], Any]) -> None:
    """A function of a string and another; nothing if one is nothing."""

    def on_input(env: Env, items: Collection, other: Collection) -> Collection:
        value, argument = text(items, f"{name}()"), text(other, f"{name}()")
        if value is None or argument is None:
            return EMPTY
        env.spend(len(value) // CHARACTERS)
        return [run(value, argument)]

    FUNCTIONS[name] = Function(on_input, 1, 1)


_on_two("indexOf", str.find)
_on_two("lastIndexOf", str.rfind)
_on_two("startsWith", str.startswith)
_on_two("endsWith", str.endswith)
_on_two("contains", str.__contains__)


@function(1, 2)
def substring(
    _env: Env, items: Collection, start: Collection, length: Collection | None = None
) -> Collection:
    """The part from a place on."""
    value, first = text(items, "substring()"), integer(start, "substring()")
    if value is None or first is None or not 0 <= first < len(value):
        return EMPTY
    count = None if length is None else integer(length, "substring()")
    return [value[first:] if count is None else value[first : first + max(0, count)]]


@function(2)
def replace(env: Env, items: Collection, pattern: Collection, substitution: Collection) -> Collection:
    """The text with another in place of a part."""
    value, old, new = text(items, "replace()"), text(pattern, "replace()"), text(substitution, "replace()")
    if value is None or old is None or new is None:
        return EMPTY
    env.spend(len(value) // CHARACTERS)
    if value.count(old) * len(new) > MAX_TEXT:
        raise too_costly("replace() makes too long a text.")
    return bounded(value.replace(old, new))


@function()
def to_chars(env: Env, items: Collection) -> Collection:
    """Each character."""
    value = text(items, "toChars()") or ""
    env.spend(len(value))
    return list(value)


@function(1)
def split(env: Env, items: Collection, separator: Collection) -> Collection:
    """The parts between separators."""
    value, by = text(items, "split()"), text(separator, "split()")
    if value is None or by is None:
        return EMPTY
    env.spend(len(value))
    return value.split(by) if by else list(value)


@function(0, 1)
def join(env: Env, items: Collection, separator: Collection | None = None) -> Collection:
    """All strings in a row."""
    by = "" if separator is None else text(separator, "join()")
    values = [value for item in items if (value := single([item], "join()")) is not None]
    if not items or by is None:
        return EMPTY
    if not all(type(value) is str for value in values):
        raise execution_error("join() takes strings")
    length = sum(len(value) + len(by) for value in values)
    if length > MAX_TEXT:
        raise too_costly("join() makes too long a text.")
    env.spend(length // CHARACTERS)
    return [by.join(values)]


def _timed(env: Env, run: Callable[[float], Any]) -> Any:
    """Run with what is left of the time that regular expressions have in this evaluation."""
    started = time.perf_counter()
    try:
        return run(max(0.001, env.regex_seconds))
    except TimeoutError:
        raise too_costly("A regular expression takes too long on this value.") from None
    finally:
        env.regex_seconds -= time.perf_counter() - started


@function(1, 2)
def matches(env: Env, items: Collection, pattern: Collection, flags: Collection | None = None) -> Collection:
    """Whether a part matches a regular expression."""
    value, written = text(items, "matches()"), text(pattern, "matches()")
    if value is None or written is None:
        return EMPTY
    found = pattern_of(_flagged(written, flags))
    return truth(_timed(env, lambda left: found.search(value, timeout=left)) is not None)


@function(1, 2)
def matches_full(
    env: Env, items: Collection, pattern: Collection, flags: Collection | None = None
) -> Collection:
    """Whether the whole matches a regular expression."""
    value, written = text(items, "matchesFull()"), text(pattern, "matchesFull()")
    if value is None or written is None:
        return EMPTY
    # With the flag m any whole line will do.
    found = pattern_of(
        _flagged(f"^(?:{written})$" if _asks_for_lines(flags) else f"\\A(?:{written})\\Z", flags)
    )
    return truth(_timed(env, lambda left: found.search(value, timeout=left)) is not None)


def _asks_for_lines(flags: Collection | None) -> bool:
    return flags is not None and "m" in (text(flags, "matchesFull()") or "")


def _flagged(written: str, flags: Collection | None) -> str:
    """Flags `i` and `m` in the form that a pattern can hold."""
    asked = "" if flags is None else text(flags, "matches()") or ""
    if not set(asked) <= {"i", "m"}:
        raise execution_error("The flags of a regular expression are i and m")
    return f"(?{asked}){written}" if asked else written


_REFERENCE = regex.compile(r"\$(?:(\d)|\{(\w+)\}|(\$))")


@function(2)
def replace_matches(env: Env, items: Collection, pattern: Collection, substitution: Collection) -> Collection:
    """The text with another in place of each match; `$1` and `${name}` stand for groups."""
    value, written = text(items, "replaceMatches()"), text(pattern, "replaceMatches()")
    new = text(substitution, "replaceMatches()")
    if value is None or written is None or new is None:
        return EMPTY
    if written == "":
        return [value]
    found = pattern_of(written)
    length = 0

    def put(match: regex.Match[str]) -> str:
        nonlocal length
        made = _REFERENCE.sub(lambda reference: _group(match, reference), new)
        length += len(made)
        if length > MAX_TEXT:
            raise too_costly("replaceMatches() makes too long a text.")
        return made

    return bounded(_timed(env, lambda left: found.sub(put, value, timeout=left)))


def _group(match: regex.Match[str], reference: regex.Match[str]) -> str:
    """`$1` and `${name}` stand for groups."""
    number, name, dollar = reference.groups()
    try:
        return "$" if dollar else match[int(number) if number else name] or ""
    except IndexError:
        return reference[0]


_ENCODINGS: dict[str, tuple[Callable[[bytes], str], Callable[[str], bytes]]] = {
    "base64": (
        lambda raw: base64.b64encode(raw).decode(),
        lambda value: base64.b64decode(value, validate=True),
    ),
    "urlbase64": (lambda raw: base64.urlsafe_b64encode(raw).decode(), base64.urlsafe_b64decode),
    "hex": (bytes.hex, bytes.fromhex),
}


@function(1)
def encode(env: Env, items: Collection, encoding: Collection) -> Collection:
    """The text in base64, urlbase64 or hex."""
    value, how = text(items, "encode()"), text(encoding, "encode()")
    if value is None or how not in _ENCODINGS:
        return EMPTY
    env.spend(len(value) // CHARACTERS)
    return bounded(_ENCODINGS[how][0](value.encode("utf-8", "replace")))


@function(1)
def decode(env: Env, items: Collection, encoding: Collection) -> Collection:
    """The text that was encoded so."""
    value, how = text(items, "decode()"), text(encoding, "decode()")
    if value is None or how not in _ENCODINGS:
        return EMPTY
    env.spend(len(value) // CHARACTERS)
    try:
        return [_ENCODINGS[how][1](value).decode()]
    except (ValueError, binascii.Error):
        raise execution_error("decode() takes a text in the encoding that is named") from None


@function(1)
def escape(env: Env, items: Collection, target: Collection) -> Collection:
    """The text as it stands within HTML or JSON."""
    value, how = text(items, "escape()"), text(target, "escape()")
    if value is None or how not in {"html", "json"}:
        return EMPTY
    env.spend(len(value) // CHARACTERS)
    return bounded(html.escape(value) if how == "html" else json.dumps(value, ensure_ascii=False)[1:-1])


@function(1)
def unescape(env: Env, items: Collection, target: Collection) -> Collection:
    """The text that was escaped so."""
    value, how = text(items, "unescape()"), text(target, "unescape()")
    if value is None or how not in {"html", "json"}:
        return EMPTY
    env.spend(len(value) // CHARACTERS)
    return [html.unescape(value) if how == "html" else _ESCAPED.sub(_unescaped, value)]


# A quotation mark that was not escaped is let pass: the literal that it stood in has taken its backslash.
_ESCAPED = regex.compile(r"\\(?:u([0-9A-Fa-f]{4})|([\"\\/bfnrt]))")
_SIGNS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def _unescaped(match: regex.Match[str]) -> str:
    code, sign = match.groups()
    return chr(int(code, 16)) if code else _SIGNS.get(sign, sign)
