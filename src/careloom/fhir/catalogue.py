"""fhir.catalogue: the search parameters that a store has beside those of R4, as they stand at one moment.

Room: fhir. May import: fhir.searchparam for its types. Standard: https://hl7.org/fhir/R4/searchparameter.html

Which parameters there are is a matter of the store that is asked, not of the process that asks: a catalogue is read
from the store, and a search or an extraction runs under it (`knowing`). Without one there are those of R4 alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from careloom.fhir.searchparam import SearchParameter


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """The parameters of a store beside those of R4. Compared by identity, so that what is made of it can be cached."""

    ready: Mapping[str, Mapping[str, SearchParameter]] = field(
        default_factory=dict[str, "Mapping[str, SearchParameter]"]
    )
    """Type -> code -> parameter: every resource of the type can be found by it."""
    building: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    """Type -> codes of those by which resources are still being indexed: no search may use them yet."""
    written: Mapping[str, tuple[SearchParameter, ...]] = field(
        default_factory=dict[str, "tuple[SearchParameter, ...]"]
    )
    """Type -> parameters by which a resource is indexed when it is written, ready or not."""
    urls: Mapping[str, str] = field(default_factory=dict[str, str])
    """Canonical address -> code."""

    def concerns(self, pairs: Iterable[tuple[str, str]]) -> bool:
        """Whether a search by these names and texts may use a parameter of this catalogue: no says no for certain."""
        codes = {code for known in self.ready.values() for code in known}
        return bool(codes) and any(
            code in name or code in text or "*" in text for name, text in pairs for code in codes
        )

    def holds(self, other: Catalogue) -> bool:
        """Whether all that `other` could be searched by is still here, unchanged."""
        return all(
            self.ready.get(rtype, {}).get(code) == parameter
            for rtype, known in other.ready.items()
            for code, parameter in known.items()
        )


R4_ALONE = Catalogue()
_known: ContextVar[Catalogue] = ContextVar("known", default=R4_ALONE)


def known() -> Catalogue:
    """The catalogue under which this runs."""
    return _known.get()


class knowing:  # noqa: N801 (it is used as a verb)
    """Run under this catalogue. A class, for a generator's context costs thrice as much."""

    __slots__ = ("_catalogue", "_token")

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._token: Token[Catalogue] | None = None

    def __enter__(self) -> None:
        self._token = _known.set(self._catalogue)

    def __exit__(self, *_: object) -> None:
        if self._token is not None:
            _known.reset(self._token)
