"""fhir.path.lexer: the text of a FHIRPath expression as tokens.

Room: fhir. May import: fhir.outcome, fhir.path.fault. Standard: http://hl7.org/fhirpath/N1/grammar.html
"""

from __future__ import annotations

import re
from typing import NamedTuple

from careloom.fhir.path.fault import syntax_error, too_costly

MAX_CHARACTERS = 100_000


class Token(NamedTuple):
    """A token: its kind (number, string, name, delimited, sign, ..., end), its text, and where it starts."""

    kind: str
    text: str
    at: int


_TIME = r"\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?"
_DATE = r"\d{4}(?:-\d\d(?:-\d\d)?)?"
_TOKEN = re.compile(
    rf"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)
    |(?P<DateTime>@{_DATE}T(?:{_TIME}(?:Z|[+-]\d\d:\d\d)?)?)
    |(?P<Date>@{_DATE})
    |(?P<Time>@T{_TIME})
    |(?P<Long>\d+L\b)
    |(?P<number>\d+(?:\.\d+)?)
    |(?P<string>'(?:[^'\\]|\\.)*')
    |(?P<delimited>`(?:[^`\\]|\\.)*`)
    |(?P<name>[A-Za-z_]\w*)
    |(?P<special>\$(?:this|index|total)\b)
    |(?P<sign><=|>=|!=|!~|[-+*/&|<>=~.,()\[\]{{}}%])""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|(.))", re.DOTALL)
_ESCAPED = {"f": "\f", "n": "\n", "r": "\r", "t": "\t"} | {sign: sign for sign in "`'\"\\/"}


def tokens(text: str) -> list[Token]:
    """The tokens of an expression, without white space and comments; raises OutcomeError(invalid).

    >>> [token.text for token in tokens("a.b // why")]
    ['a', '.', 'b', '']
    """
    if len(text) > MAX_CHARACTERS:
        raise too_costly(f"The FHIRPath expression has more than {MAX_CHARACTERS} characters.")
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise syntax_error("This cannot be read", at)
        if match.lastgroup != "space":
            found.append(_token(match))
        at = match.end()
    return [*found, Token("end", "", at)]


def _token(match: re.Match[str]) -> Token:
    kind, text, at = match.lastgroup or "", match[0], match.start()
    if kind in {"string", "delimited"}:
        text = _unescaped(text[1:-1], at)
    elif kind in {"Date", "DateTime", "special"}:
        text = text[1:]
    elif kind == "Time":
        text = text[2:]
    elif kind == "Long":
        text = text[:-1]
    return Token(kind, text, at)


def _unescaped(text: str, at: int) -> str:
    def plain(match: re.Match[str]) -> str:
        if match[1]:
            return chr(int(match[1], 16))
        if match[2] not in _ESCAPED:
            raise syntax_error("There is no such escape in FHIRPath", at + 1 + match.start())
        return _ESCAPED[match[2]]

    if "\\" not in text:
        return text
    # A character beyond the basic plane may be written as two surrogates.
    return _ESCAPE.sub(plain, text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
