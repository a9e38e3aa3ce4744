"""flow.guides: the profiles of the implementation guides that the settings name.

Room: flow. Touches: the package files. Standard: https://hl7.org/fhir/R4/profiling.html
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.profile import Profiles, definitions
from careloom.settings import Settings


def profiles_of(settings: Settings) -> Profiles:
    """The profiles of the setting `guides`, read once. Raises OutcomeError where a package is not there."""
    return _profiles(settings.guides)


@lru_cache(maxsize=8)
def _profiles(guides: str) -> Profiles:
    names = [name.strip() for name in guides.split(",") if name.strip()]
    return Profiles(one for name in names for one in definitions(_read(name)))


def _read(name: str) -> bytes:
    try:
        return Path(name).expanduser().read_bytes()
    except OSError:
        raise OutcomeError(
            Issue("not-found", f"The guide {name} of CARELOOM_GUIDES cannot be read.")
        ) from None
