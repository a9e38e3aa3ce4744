"""fhir.path.parser: FHIRPath text to a tree, the whole grammar of N1 (and Long, and `asc`/`desc` in sort()).

Room: fhir. May import: fhir.path. Standard: http://hl7.org/fhirpath/N1/grammar.html
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import Literal as OneOf
from typing import cast

from careloom.fhir.outcome import OutcomeError
from careloom.fhir.path.fault import syntax_error, too_costly
from careloom.fhir.path.lexer import Token, tokens
from careloom.fhir.path.tree import (
    Binary,
    Call,
    Empty,
    Indexer,
    Literal,
    Member,
    Node,
    Operator,
    Polarity,
    Quantity,
    Special,
    SystemType,
    TypeOperation,
    Variable,
    parts,
)

MAX_DEPTH = 100
"""Parentheses, arguments, indexers and operators inside each other while reading."""

MAX_LEVELS = 200
"""Levels of the tree: steps and operators in a row make one each."""

_UNITS = ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
CALENDAR = {unit + plural: unit for unit in _UNITS for plural in ("", "s")}
"""Each keyword of a calendar duration -> its singular."""

# From loose to tight; all bind to the left.
_PRECEDENCE = (
    ("implies",),
    ("or", "xor"),
    ("and",),
    ("in", "contains"),
    ("=", "~", "!=", "!~"),
    ("<=", "<", ">", ">="),
    ("|",),
    ("is", "as"),
    ("+", "-", "&"),
    ("*", "/", "div", "mod"),
)
_STRENGTH = {operator: strength for strength, row in enumerate(_PRECEDENCE) for operator in row}
_WORDS = frozenset(operator for operator in _STRENGTH if operator.isalpha())
# These operators and units may also be names of elements and functions.
_NOT_NAMES = frozenset({"true", "false", "and", "or", "xor", "implies", "div", "mod"})


@lru_cache(maxsize=4096)
def parse(text: str) -> Node:
    """The tree of an expression; raises OutcomeError(invalid) that names the character, or (too-costly).

    >>> parse("name.given").name
    'given'
    """
    reader = _Reader(tokens(text))
    tree = reader.expression(0)
    if reader.next.kind != "end":
        raise syntax_error(f"Unexpected {reader.named()}", reader.next.at)
    _check_levels(tree)
    return tree


def _check_levels(tree: Node) -> None:
    """Steps and operators in a row are read in a loop and make a deep tree all the same."""
    level = [tree]
    for _ in range(MAX_LEVELS):
        level = [part for node in level for part in parts(node)]
    if level:
        raise _too_deep()


def _too_deep() -> OutcomeError:
    return too_costly("The FHIRPath expression is nested too deeply, or has too many steps in a row.")


class _Reader:
    """Reads tokens from the left by the strength of operators."""

    def __init__(self, found: list[Token]) -> None:
        self._found = found
        self._place = 0
        self._depth = 0
        self.next = found[0]

    def named(self) -> str:
        """The next token, as an error may show it: a string could be a patient's name."""
        kind, text, _ = self.next
        return {"end": "end", "string": "string"}.get(kind, f"'{text}'")

    def expression(self, weakest: int) -> Node:
        """An expression of operators that are no weaker than this."""
        self._deeper()
        left = self._polarity()
        while (strength := self._strength()) >= weakest:
            left = self._operation(left, strength)
        self._depth -= 1
        return left

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _too_deep()

    def _strength(self) -> int:
        """How strong the operator is that comes next; -1 where none comes."""
        kind, text, _ = self.next
        is_operator = kind == "sign" or (kind == "name" and text in _WORDS)
        return _STRENGTH.get(text, -1) if is_operator else -1

    def _operation(self, left: Node, strength: int) -> Node:
        _, operator, at = self._take()
        if operator == "is" or operator == "as":  # noqa: PLR1714 - narrows the type
            return TypeOperation(operator, left, self._type_name(), at)
        return Binary(cast("Operator", operator), left, self.expression(strength + 1), at)

    def _polarity(self) -> Node:
        sign, at = self.next.text, self.next.at
        if self.next.kind == "sign" and (sign == "-" or sign == "+"):  # noqa: PLR1714 - narrows the type
            self._take()
            self._deeper()
            operand = self._polarity()
            self._depth -= 1
            return Polarity(sign, operand, at)
        return self._path()

    def _path(self) -> Node:
        found = self._term()
        while True:
            at = self.next.at
            if self._sign("."):
                found = self._invocation(found)
            elif self._sign("["):
                found = Indexer(found, self.expression(0), at)
                self._expect("]")
            else:
                return found

    def _invocation(self, base: Node | None) -> Node:
        if self.next.kind == "special":
            raise syntax_error(f"${self.next.text} cannot stand after a dot", self.next.at)
        at = self.next.at
        name = self._name() if base is None else self._name_after_dot()
        if not self._sign("("):
            return Member(base, name, at)
        arguments: list[Node] = []
        if not self._sign(")"):
            arguments.append(self._argument(name))
            while self._sign(","):
                arguments.append(self._argument(name))
            self._expect(")")
        return Call(base, name, tuple(arguments), at)

    def _argument(self, function: str) -> Node:
        found = self.expression(0)
        if function == "sort" and self.next.kind == "name" and self.next.text in {"asc", "desc"}:
            token = self._take()
            return Polarity("-", found, token.at) if token.text == "desc" else found
        return found

    def _term(self) -> Node:
        kind, text, at = self.next
        match kind:
            case "sign" if text == "(":
                self._take()
                found = self.expression(0)
                self._expect(")")
                return found
            case "sign" if text == "{":
                self._take()
                self._expect("}")
                return Empty(at)
            case "sign" if text == "%":
                return self._variable()
            case "special":
                return Special(cast("OneOf['this', 'index', 'total']", self._take().text), at)
            case "name" | "delimited":
                return (
                    self._boolean()
                    if kind == "name" and text in {"true", "false"}
                    else self._invocation(None)
                )
            case _:
                return self._literal()

    def _boolean(self) -> Node:
        token = self._take()
        return Literal("Boolean", token.text == "true", token.at)

    def _variable(self) -> Node:
        at = self._take().at
        if self.next.kind not in {"name", "delimited", "string"}:
            raise syntax_error("After % there must be a name", self.next.at)
        return Variable(self._take().text, at)

    def _literal(self) -> Node:
        kind, text, at = self.next
        if kind == "number":
            return self._number()
        if kind not in {"string", "Long", "Date", "DateTime", "Time"}:
            raise syntax_error(f"Unexpected {self.named()}", at)
        self._take()
        if kind == "string":
            return Literal("String", text, at)
        return Literal(cast("SystemType", kind), int(text) if kind == "Long" else text, at)

    def _number(self) -> Node:
        _, text, at = self._take()
        unit = self.next
        if unit.kind == "string":
            return Quantity(Decimal(text), self._take().text, is_calendar=False, at=at)
        if unit.kind == "name" and unit.text in CALENDAR:
            return Quantity(Decimal(text), self._take().text, is_calendar=True, at=at)
        return Literal("Decimal", Decimal(text), at) if "." in text else Literal("Integer", int(text), at)

    def _type_name(self) -> str:
        name = self._name()
        return f"{name}.{self._name()}" if self._sign(".") else name

    def _name(self) -> str:
        kind, text, at = self.next
        if kind == "delimited" or (kind == "name" and text not in _NOT_NAMES):
            return self._take().text
        raise syntax_error(f"Expected a name instead of {self.named()}", at)

    def _name_after_dot(self) -> str:
        """Any word: `text.div` is written often, though the grammar asks for `text.`div``."""
        return self._take().text if self.next.kind == "name" else self._name()

    def _take(self) -> Token:
        token = self.next
        self._place += 1
        self.next = self._found[min(self._place, len(self._found) - 1)]
        return token

    def _sign(self, text: str) -> bool:
        """Whether this sign came next; it is then consumed."""
        if self.next.kind == "sign" and self.next.text == text:
            self._take()
            return True
        return False

    def _expect(self, text: str) -> None:
        if not self._sign(text):
            raise syntax_error(f"Expected '{text}' instead of {self.named()}", self.next.at)
