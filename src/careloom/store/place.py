"""store.place: where a page of a search begins or ends, as the word that stands in its link.

Room: store. Pure. Standard: https://hl7.org/fhir/R4/http.html#paging
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.store.cursor import cursor_text, cursor_values


class Place(NamedTuple):
    """After (or, `is_back`, before) the row with these values; without values the end of the list on that side."""

    is_back: bool = False
    values: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """What stands in the link; "" for the first page."""
        return (
            cursor_text(["<" if self.is_back else ">", *self.values]) if self.is_back or self.values else ""
        )


START = Place()
LAST = Place(is_back=True)


def place_of(word: str, keys: int) -> Place:
    """The place of a word; `keys` says how many values a row of this order has. Raises OutcomeError(invalid).

    >>> place_of(Place(is_back=True, values=("7", "x")).word, 2)
    Place(is_back=True, values=('7', 'x'))
    """
    if not word:
        return START
    for number in (keys + 1, 1):
        try:
            side, *values = cursor_values(word, [str] * number)
        except OutcomeError:
            continue
        if side in {"<", ">"}:
            return Place(side == "<", tuple(values))
    raise OutcomeError(Issue("invalid", "This page cannot be found: begin again from the first page."))


def following(
    rows: Sequence[Sequence[str]], place: Place, *, is_more: bool
) -> tuple[Place | None, Place | None]:
    """The places of the next and of the previous page; `rows` are the values of this page's rows, as they are shown."""
    if not rows:
        return None, LAST if place.values and not place.is_back else None
    after, before = Place(values=tuple(rows[-1])), Place(is_back=True, values=tuple(rows[0]))
    if place.is_back:
        return (after if place.values else None), (before if is_more else None)
    return (after if is_more else None), (before if place.values else None)
