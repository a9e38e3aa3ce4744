"""unify.identity.names: the name tables: how common a name is, its short forms, placeholders, suffixes.

Room: unify. May import: the standard library. The facts stand in names.toml, with their sources.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

_UNLISTED = {"given": 0.001, "family": 0.0003}
"""Share of people who bear a name that the tables do not list: chosen high, so that it is not overrated."""


@cache
def _tables() -> dict[str, dict[str, Any]]:
    return tomllib.loads(Path(__file__).with_name("names.toml").read_text(encoding="utf-8"))


@cache
def _shares(kind: str) -> dict[str, float]:
    frequency = _tables()["frequency"]
    if kind == "family":
        return {name: count / 100_000 for name, count in _counts(frequency["family"]).items()}
    shares: dict[str, float] = {}
    for sex in ("male", "female"):
        for name, count in _counts(frequency[sex]).items():
            shares[name] = shares.get(name, 0.0) + count / 200_000
    return shares


def _counts(text: str) -> dict[str, int]:
    pairs = (word.split(":") for word in text.split())
    return {name: int(count) for name, count in pairs}


def frequent(kind: str) -> dict[str, int]:
    """The listed names of a kind (male, female, family) with their occurrences per 100,000."""
    return _counts(_tables()["frequency"][kind])


def share(kind: str, name: str) -> float:
    """The share of people who bear this name; kind is given or family.

    >>> share("family", "smith") > share("family", "quackenbush")
    True
    """
    return max(_shares(kind).get(name, _UNLISTED[kind]), _UNLISTED[kind] / 3)


def is_listed(name: str) -> bool:
    """True if it is a common given name: two different ones are hardly a slip of the pen."""
    return name in _shares("given") or name in _also()


@cache
def _also() -> frozenset[str]:
    return frozenset(_tables()["frequency"]["also"].split())


@cache
def common_middles() -> frozenset[str]:
    """Middle names that so many bear that agreeing in one tells little."""
    return frozenset(_tables()["frequency"]["middle"].split())


@cache
def _formal_names() -> dict[str, frozenset[str]]:
    formals: dict[str, set[str]] = {}
    for formal, short_forms in _tables()["nicknames"].items():
        for word in (formal, *short_forms.split()):
            formals.setdefault(word, set()).add(formal)
    return {word: frozenset(names) for word, names in formals.items()}


def formal(name: str) -> frozenset[str]:
    """What a given name may stand for, itself included.

    >>> sorted(formal("bob"))
    ['bob', 'robert']
    """
    return _formal_names().get(name, frozenset()) | {name}


@cache
def forms(name: str) -> frozenset[str]:
    """Other forms of a given name: what it may stand for, and the short forms of that.

    >>> "bobby" in forms("rob")
    True
    """
    found = {form for whole in formal(name) for form in (whole, *short_forms(whole))}
    return frozenset(found - {name})


def canonical(name: str) -> str:
    """One formal name for a given name, to look it up by.

    >>> canonical("bob"), canonical("robert"), canonical("zelda")
    ('robert', 'robert', 'zelda')
    """
    names = _formal_names().get(name)
    return min(names) if names else name


@cache
def placeholders(kind: str) -> frozenset[str]:
    """Words that are no name (kind: given or family), or no person's (whole: `john doe`)."""
    words = _tables()["placeholders"][kind]
    return frozenset(words.split() if isinstance(words, str) else words)


@cache
def suffixes() -> dict[str, str]:
    """Generation suffixes as written -> jr, sr, ii, iii, iv, v."""
    table = _tables()["suffixes"]
    return {word: suffix for suffix, words in table.items() for word in words.split()}


@cache
def street_words() -> dict[str, str]:
    """Abbreviations of street types -> the word; unit words -> nothing."""
    table = _tables()["address"]
    words = {short: word for word, shorts in table.items() if word != "units" for short in shorts.split()}
    return words | dict.fromkeys(table["units"].split(), "")


def short_forms(name: str) -> list[str]:
    """The short forms of a formal name, as the table lists them."""
    return _tables()["nicknames"].get(name, "").split()
