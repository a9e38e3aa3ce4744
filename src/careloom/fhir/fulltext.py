"""fhir.fulltext: the words of a resource or of its narrative, and what _text and _content ask of them.

Room: fhir. May import: fhir.indexvalue, fhir.queryvalue, fhir.outcome.
Standard: https://hl7.org/fhir/R4/search.html#content

R4 leaves the language to the server. Here: all words must stand somewhere, whole, without case or accents; `or` between
words, brackets, and "several words in a row" in quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

from careloom.fhir.indexvalue import normalised
from careloom.fhir.queryvalue import refused
from careloom.fhir.resource import Resource

_TAG = re.compile(r"<[^>]*>")
_WORDS = re.compile(r"\w+")
_PIECE = re.compile(r'"[^"]*"|[()]|[^\s()"]+')
_MAX_PIECES = 100


def narrative_words(resource: Resource) -> str:
    """The words of the narrative, each between blanks.

    >>> narrative_words({"text": {"div": "<div>Broken <b>Femur</b></div>"}})
    ' broken femur '
    """
    return _row([_TAG.sub(" ", resource.get("text", {}).get("div", ""))])


def content_words(resource: Resource) -> str:
    """The words of every text of the resource, its narrative included, each between blanks."""
    return _row(_TAG.sub(" ", text) if "<" in text else text for text in _texts(resource))


def is_found(question: str, words: str) -> bool:
    """Whether the words (between blanks) are what a question asks for. Raises OutcomeError(value).

    >>> is_found('(bone OR liver) and "broken femur"', " a broken femur bone ")
    True
    """
    pieces = _PIECE.findall(question)
    if not pieces or len(pieces) > _MAX_PIECES:
        raise refused("_text", f"ask for 1 to {_MAX_PIECES} words.")
    reader = _Reader(pieces, words)
    found = reader.either()
    if reader.pieces:
        raise refused("_text", "a bracket is closed that was not opened.")
    return found


class _Reader:
    def __init__(self, pieces: list[str], words: str) -> None:
        self.pieces = pieces
        self._words = words

    def either(self) -> bool:
        found = self._all()
        while self.pieces and self.pieces[0].lower() == "or":
            del self.pieces[0]
            # Read before it is judged: the words must be consumed.
            found = self._all() or found
        return found

    def _all(self) -> bool:
        found = True
        while self.pieces and self.pieces[0] != ")" and self.pieces[0].lower() != "or":
            piece = self.pieces.pop(0)
            if piece == "(":
                found = self.either() and found
                if self.pieces[:1] != [")"]:
                    raise refused("_text", "a bracket is not closed.")
                del self.pieces[0]
            elif piece.lower() != "and":
                found = _row([piece]) in self._words and found
        return found


def _row(texts: Any) -> str:
    words = [word for text in texts for word in _WORDS.findall(normalised(unescape(text)))]
    return f" {' '.join(words)} "


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
