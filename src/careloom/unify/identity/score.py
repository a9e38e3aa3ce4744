"""unify.identity.score: agreement -> weights in bits that add up exactly to the score, and a probability.

Room: unify. May import: compare, names. Standard: Fellegi and Sunter 1969,
https://doi.org/10.1080/01621459.1969.10501049; the weights stand in weights.toml.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from careloom.unify.identity.compare import levels
from careloom.unify.identity.names import share
from careloom.unify.identity.record import Record

_CENT = Decimal("0.01")
_HOUSEHOLD = ("address", "phone", "email", "place")


@dataclass(frozen=True, slots=True)
class Part:
    """What one field adds to the score. Never the values: an Explanation may be kept and shown in a list."""

    field: str
    level: str
    weight: Decimal
    """Bits, two decimals."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why two records score as they do."""

    parts: tuple[Part, ...]

    @property
    def score(self) -> Decimal:
        """The sum of the weights, exactly."""
        return sum((part.weight for part in self.parts), Decimal("0.00"))

    @property
    def probability(self) -> float:
        """That the two are one person, from the score and the prior."""
        bits = float(self.score) + prior_bits()
        return 1 / (1 + 2**-bits) if bits > -200 else 0.0  # noqa: PLR2004

    def level(self, field: str) -> str:
        """The level of a field; empty where it was not compared."""
        return next((part.level for part in self.parts if part.field == field), "")


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("weights.toml").read_text(encoding="utf-8"))


@cache
def prior_bits() -> float:
    """log2 of the odds that two records taken at random are one person."""
    return float(_table()["prior"]["bits"])


@cache
def limit(name: str) -> float:
    """A bound of the decision: link, review or objected."""
    return float(_table()["decision"][name])


@cache
def _discounts() -> tuple[Decimal, ...]:
    return tuple(Decimal(str(factor)) for factor in _table()["discount"]["household"])


@cache
def weight(field: str, level: str, name: str = "") -> Decimal:
    """log2(m / u) of a level in bits; for an agreed name u is the share of people who bear it.

    >>> weight("given", "exact", "james") < weight("given", "exact", "zelda")
    True
    """
    chances = _table()[field][level]
    u = share(field, name) if chances["u"] == "share" else float(chances["u"])
    return Decimal(math.log2(float(chances["m"]) / u)).quantize(_CENT)


def explain(one: Record, two: Record) -> Explanation:
    """Compare two records; the same whichever comes first.

    >>> from careloom.unify.identity.normalise import Birth, Name
    >>> ann = Record("1", names=(Name(("ann",), "lee"),), birth=Birth(1960, 3, 7))
    >>> [(part.field, part.level) for part in explain(ann, ann).parts]
    [('given', 'exact'), ('family', 'exact'), ('birth', 'exact')]
    """
    parts = [Part(field, level, weight(field, level, name)) for field, level, name in levels(one, two)]
    return Explanation(tuple(_discounted(parts)))


def _discounted(parts: list[Part]) -> list[Part]:
    agreeing = [part for part in parts if part.field in _HOUSEHOLD and part.weight > 0]
    ranked = sorted(agreeing, key=lambda part: (-part.weight, part.field))
    factors = {part.field: factor for part, factor in zip(ranked, _discounts(), strict=False)}
    return [
        Part(part.field, part.level, (part.weight * factors.get(part.field, Decimal(1))).quantize(_CENT))
        for part in parts
    ]
