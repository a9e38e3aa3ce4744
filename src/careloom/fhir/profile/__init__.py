"""fhir.profile: profiles compiled from their StructureDefinitions: what a guide asks of resources beyond R4.

Room: fhir. Standard: https://hl7.org/fhir/R4/profiling.html

    from careloom.fhir.profile import Profiles, definitions
    profiles = Profiles(definitions(package_bytes))
    issues = profiles.validate(resource, "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient")
"""

from __future__ import annotations

from careloom.fhir.profile.package import definitions
from careloom.fhir.profile.profiles import Profiles

__all__ = ["Profiles", "definitions"]
