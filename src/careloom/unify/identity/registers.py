"""unify.identity.registers: link two registers, each of which holds a person once: each record to at most one other.

Room: unify. May import: blocking, score. Standard: Fellegi and Sunter 1969, one-to-one as in Jaro 1989,
https://doi.org/10.1080/01621459.1989.10478785

A hospital cannot know that it holds a person once, nor that a twin is registered with it at all: there the objections
of `decide` hold. Two complete registers (a census, a register of deaths) can: a twin's own record takes the twin.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from careloom.unify.identity.blocking import Index
from careloom.unify.identity.record import Record
from careloom.unify.identity.score import Explanation, explain

_ROUNDS = 20
_MOST_OVERLAP = 0.99
"""Never certain that a record has a match, or none."""


@dataclass(frozen=True, slots=True)
class Match:
    """A record of each register (ids) that are one person."""

    one: str
    two: str
    probability: float
    explanation: Explanation


def linked(one: Iterable[Record], two: Iterable[Record], least: float = 0.5) -> list[Match]:
    """The matches of at least this probability, the surest first; no record stands in two of them.

    >>> from careloom.unify.identity.normalise import Birth, Name
    >>> ann = Record("1", names=(Name(("ann",), "lee"),), birth=Birth(1960, 3, 7))
    >>> bob = Record("2", names=(Name(("bob",), "lee"),), birth=Birth(1960, 3, 7))
    >>> again = Record("3", names=(Name(("anne",), "lee"),), birth=Birth(1960, 3, 7))
    >>> [(match.one, match.two) for match in linked([ann, bob], [again])]
    [('1', '3')]
    """
    known = {record.id: record for record in one}
    index = Index(known.values())
    compared = {
        record.id: {other: explain(known[other], record) for other in sorted(index.candidates(record))}
        for record in two
    }
    found = [
        Match(other, record, probability, compared[record][other])
        for record, chances in _probabilities(compared, max(1, len(known))).items()
        for other, probability in chances.items()
        if probability >= least
    ]
    return _one_to_one(found)


def _probabilities(compared: dict[str, dict[str, Explanation]], size: int) -> dict[str, dict[str, float]]:
    """For each record of the second register, of which of the first it is: one at most, so that rivals share.

    How many have a match at all is learnt from the scores, again and again until it settles.
    """
    odds = {
        record: {other: 2.0 ** float(why.score) / size for other, why in others.items()}
        for record, others in compared.items()
    }
    overlap, chances = 0.5, dict[str, dict[str, float]]()
    for _ in range(_ROUNDS):
        chances = {
            record: {
                other: overlap * each / (1 - overlap + overlap * sum(others.values()))
                for other, each in others.items()
            }
            for record, others in odds.items()
        }
        matched = sum(sum(others.values()) for others in chances.values())
        overlap = min(_MOST_OVERLAP, max(1 - _MOST_OVERLAP, matched / max(1, len(odds))))
    return chances


def _one_to_one(found: list[Match]) -> list[Match]:
    taken_one: set[str] = set()
    taken_two: set[str] = set()
    kept: list[Match] = []
    for match in sorted(found, key=lambda each: (-each.explanation.score, each.one, each.two)):
        if match.one not in taken_one and match.two not in taken_two:
            taken_one.add(match.one)
            taken_two.add(match.two)
            kept.append(match)
    return kept
