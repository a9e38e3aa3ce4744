"""fhir.filter: the language of _filter: comparisons joined by and, or and not.

Room: fhir. May import: fhir.clause, fhir.queryvalue, fhir.searchparam, fhir.outcome.
Standard: https://hl7.org/fhir/R4/search_filter.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from careloom.fhir.clause import (
    MAX_NAME,
    Chain,
    Clause,
    Criterion,
    Has,
    Junction,
    Negation,
    clause_of,
    parameter_of,
)
from careloom.fhir.facts import resource_types
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.queryvalue import Missing, Moment, refused

MAX_WORDS = 400
MAX_DEPTH = 20
_WORD = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[()\[\]]|[^\s()\[\]"]+)')

# Operator -> for each type of parameter how it is said as a parameter of a URL: a modifier of R4 (:x), a prefix (x),
# or a comparison that only _filter has (=x).
_OPERATORS: dict[str, dict[str, str]] = {
    "eq": {"string": "=eq", "token": "", "reference": "", "uri": "", "date": "eq", "number": "eq", "quantity": "eq"},
    "ne": {"string": "=ne", "token": "=ne", "reference": "=ne", "uri": "=ne", "date": "ne", "number": "ne",
           "quantity": "ne"},
    "co": {"string": ":contains", "uri": "=co"},
    "sw": {"string": "", "uri": ":below"},
    "ew": {"string": "=ew", "uri": "=ew"},
    "po": {"date": "=po"},
    "ss": {"token": ":above", "uri": ":above"},
    "sb": {"token": ":below", "uri": ":below"},
    "in": {"token": ":in"},
    "re": {"reference": ""},
    **{
        prefix: {"date": prefix, "number": prefix, "quantity": prefix}
        for prefix in ("gt", "lt", "ge", "le", "ap", "sa", "eb")
    },
}  # fmt: skip


def filter_of(rtype: str, text: str, base: str = "") -> Clause:
    """The clause of a filter. Raises OutcomeError(value, not-supported).

    >>> filter_of("Patient", 'gender eq male or (name co "pet" and not (active eq false))').is_all
    False
    """
    words: list[str] = []
    at = 0
    while text[at:].strip():
        match = _WORD.match(text, at)
        if match is None:
            raise refused("_filter", "a text in quotes does not end.")
        words.append(match[1])
        at = match.end()
    if len(words) > MAX_WORDS:
        raise OutcomeError(Issue("too-costly", f"A filter may have {MAX_WORDS} words.", "_filter"))
    reader = _Reader(words, base)
    clause = reader.either(rtype, 0)
    if reader.rest:
        raise refused("_filter", f"nothing may stand after word {len(words) - len(reader.rest)}.")
    return clause


class _Reader:
    """Reads words from the left: `and` binds closer than `or`."""

    def __init__(self, words: list[str], base: str) -> None:
        self.rest = words
        self._base = base

    def either(self, rtype: str, depth: int) -> Clause:
        return self._joined("or", lambda: self._both(rtype, depth))

    def _both(self, rtype: str, depth: int) -> Clause:
        return self._joined("and", lambda: self._one(rtype, depth))

    def _joined(self, word: str, part: Callable[[], Clause]) -> Clause:
        clauses = [part()]
        while self._take(word):
            clauses.append(part())
        return clauses[0] if len(clauses) == 1 else Junction(word == "and", tuple(clauses))

    def _one(self, rtype: str, depth: int) -> Clause:
        if depth > MAX_DEPTH:
            raise OutcomeError(Issue("too-costly", f"A filter may be nested {MAX_DEPTH} deep.", "_filter"))
        if self._take("not"):
            self._expect("(")
            clause = self.either(rtype, depth + 1)
            self._expect(")")
            return Negation(clause)
        if self._take("("):
            clause = self.either(rtype, depth + 1)
            self._expect(")")
            return clause
        path = self._next()
        if self._take("["):
            return self._narrowed(rtype, path, depth)
        return self._compared(rtype, path)

    def _narrowed(self, rtype: str, path: str, depth: int) -> Clause:
        """`reference[filter].path op value`: one and the same resource meets the filter and the rest."""
        code, _, modifier = path.partition(":")
        parameter = parameter_of(rtype, code)
        if parameter.type != "reference":
            raise refused("_filter", "only a reference can stand before [.")
        words = self.rest
        types = [modifier] if modifier else list(parameter.targets or sorted(resource_types()))
        branches: list[tuple[str, Clause]] = []
        failed: OutcomeError | None = None
        left = words
        for target in types:
            self.rest = list(words)
            try:
                branches.append((target, self._inside(target, depth)))
            except OutcomeError as error:
                if error.issues[0].code != "not-supported":
                    raise
                failed = error
            else:
                left = self.rest
        if not branches:
            raise failed or refused("_filter", "the reference leads nowhere.")
        self.rest = left
        return Chain(parameter, tuple(branches))

    def _inside(self, target: str, depth: int) -> Clause:
        inner = self.either(target, depth + 1)
        self._expect("]")
        path = self._next()
        if not path.startswith("."):
            raise refused("_filter", "after ] a dot and a parameter must stand.")
        return Junction(is_all=True, clauses=(inner, self._compared(target, path[1:])))

    def _compared(self, rtype: str, path: str) -> Clause:
        operator, value = self._next(), self._next()
        text = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
        if operator == "pr":
            return clause_of(rtype, f"{path}:missing", "false" if text == "true" else "true", self._base)
        kind = _kind(rtype, path)
        said = _OPERATORS.get(operator, {}).get(kind)
        if said is None:
            raise OutcomeError(
                Issue("not-supported", f"A filter cannot compare a {kind} by {operator[:8]}.", "_filter")
            )
        if kind in {"string", "uri"} or said.startswith(":in"):
            text = re.sub(r"([\\,|$])", r"\\\1", text)
        else:
            text = text.replace("\\", "\\\\").replace(",", "\\,")
        if said.startswith(":"):
            return clause_of(rtype, path + said, text, self._base)
        if said.startswith("="):
            return _with_modifier(clause_of(rtype, path, text, self._base), said)
        return clause_of(rtype, path, said + text, self._base)

    def _take(self, word: str) -> bool:
        if self.rest[:1] == [word]:
            self.rest = self.rest[1:]
            return True
        return False

    def _next(self) -> str:
        if not self.rest:
            raise refused("_filter", "it ends too early.")
        word, self.rest = self.rest[0], self.rest[1:]
        return word

    def _expect(self, word: str) -> None:
        if not self._take(word):
            raise refused("_filter", f"{word} is missing.")


def _kind(rtype: str, path: str) -> str:
    """The type of the parameter at the end of a path."""
    head, dot, rest = path.partition(".")
    code, _, modifier = head.partition(":")
    parameter = parameter_of(rtype, code)
    if not dot:
        return parameter.type
    for target in [modifier] if modifier else parameter.targets or sorted(resource_types()):
        try:
            return _kind(target, rest)
        except OutcomeError:
            continue
    raise refused("_filter", f"the path of {code[:MAX_NAME]} leads nowhere.")


def _with_modifier(clause: Clause, modifier: str) -> Clause:
    """The same with a comparison at its end that no URL can say."""
    match clause:
        case Criterion():
            if modifier == "=po":
                spans = tuple(replace(one, prefix="po") for one in clause.values if isinstance(one, Moment))
                return replace(clause, values=spans)
            is_missing = any(isinstance(one, Missing) for one in clause.values)
            return clause if is_missing else replace(clause, modifier=modifier)
        case Chain():
            branches = tuple((one, _with_modifier(inner, modifier)) for one, inner in clause.branches)
            return replace(clause, branches=branches)
        case Has():
            return replace(clause, clause=_with_modifier(clause.clause, modifier))
        case _:
            return clause
