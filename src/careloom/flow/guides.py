"""flow.guides: the profiles of the implementation guides that the settings name, and what the store demands of resources.

Room: flow. Touches: the package files. Standard: https://hl7.org/fhir/R4/profiling.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from careloom.fhir.facts import resource_types
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.profile import Profiles, definitions
from careloom.fhir.resource import Resource
from careloom.settings import Settings, listed


@dataclass(frozen=True, slots=True)
class Demand:
    """Profiles that what comes in must conform to: of those of its type, one at least."""

    profiles: Profiles | None = None
    by_type: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])

    def faults(self, resource: Resource) -> list[Issue]:
        """What keeps a resource that is valid R4 from being stored; empty where nothing does.

        The rule itself comes first, so that the status is that of a broken rule (422), not of bad FHIR (400).
        """
        rtype = resource["resourceType"]
        asked = self.by_type.get(rtype, ())
        if self.profiles is None or not asked:
            return []
        fewest: list[Issue] = []
        for url in asked:
            found = [issue for issue in self.profiles.conformance(resource, url) if issue.is_error]
            if not found:
                return []
            fewest = found if not fewest or len(found) < len(fewest) else fewest
        return [
            Issue("business-rule", f"A {rtype} must conform to {' or '.join(asked)} here.", rtype),
            *fewest,
        ]

    def require(self, resource: Resource) -> None:
        """Raise OutcomeError with the faults, if there are any."""
        if faults := self.faults(resource):
            raise OutcomeError(*faults)


NO_DEMAND = Demand()
"""Of who stores what is known to be right: nobody takes it without naming it."""


def profiles_of(settings: Settings) -> Profiles:
    """The profiles of the setting `guides`, read once. Raises OutcomeError where a package is not there."""
    return _profiles(settings.guides)


def demand_of(settings: Settings) -> Demand:
    """What the setting `required_profiles` demands. Raises OutcomeError where it names what is not known."""
    return _demand(settings.guides, settings.required_profiles) if settings.required_profiles else NO_DEMAND


@lru_cache(maxsize=8)
def _profiles(guides: str) -> Profiles:
    return Profiles(one for name in listed(guides) for one in definitions(_read(name)))


@lru_cache(maxsize=8)
def _demand(guides: str, required: str) -> Demand:
    profiles = _profiles(guides)
    by_type: dict[str, tuple[str, ...]] = {}
    for pair in listed(required):
        rtype, _, url = (part.strip() for part in pair.partition("="))
        if rtype not in resource_types() or url not in profiles:
            text = f"CARELOOM_REQUIRED_PROFILES: {pair} is not Type=profile of a guide in CARELOOM_GUIDES."
            raise OutcomeError(Issue("not-found", text))
        by_type[rtype] = (*by_type.get(rtype, ()), url)
    return Demand(profiles, by_type)


def _read(name: str) -> bytes:
    try:
        return Path(name).expanduser().read_bytes()
    except OSError:
        raise OutcomeError(
            Issue("not-found", f"The guide {name} of CARELOOM_GUIDES cannot be read.")
        ) from None
