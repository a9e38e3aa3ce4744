"""verify.us_core_examples: the examples of US Core 6.1, 8.0 and IPS conform to what they claim; made wrong, they do not.

Room: verify. Reads `fhir-r4-definitions/us-core/us_core_610.tgz` and `us_core_800.tgz` (npm hl7.fhir.us.core, CC0) and
`fhir-r4-definitions/npm/hl7.fhir.uv.ips-2.0.0.tgz` (npm hl7.fhir.uv.ips 2.0.0, CC0). Expected is what the validator
of HL7 said when the guides were published: no error in any example (other/validation-oo.json of the packages).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from careloom.fhir.profile import Profiles, definitions
from careloom.fhir.resource import Resource, loads
from careloom.fhir.validate import validate
from careloom.settings import Settings
from careloom.verify.archive import files
from careloom.verify.figure import Figure
from careloom.verify.profile_variants import variants

NAME = "us-core-examples"
PACKAGES = {
    "us-core": "fhir-r4-definitions/us-core/us_core_610.tgz",
    "us-core-8": "fhir-r4-definitions/us-core/us_core_800.tgz",
    "ips": "fhir-r4-definitions/npm/hl7.fhir.uv.ips-2.0.0.tgz",
}
ROUNDS = 3


def check(settings: Settings) -> list[Figure]:
    """Figures for each guide: valid examples; variants that are valid R4 and break the profile; microseconds."""
    figures: list[Figure] = []
    for guide, archive in PACKAGES.items():
        path = settings.conformance / archive
        if path.exists():
            figures += _of_guide(f"{NAME}.{guide}", path)
        else:
            figures.append(
                Figure(check=NAME, note=f"The suite {archive} is absent: set CARELOOM_CONFORMANCE.")
            )
    return figures


def claims(archive: Path, profiles: Profiles) -> Iterator[tuple[str, Resource, str]]:
    """File, example and a profile that it claims, where the profile is known."""
    for name, raw in sorted(files(archive)):
        if "/example/" in name:
            resource = loads(raw)
            for url in resource.get("meta", {}).get("profile", ()):
                if url in profiles:
                    yield name, resource, url.partition("|")[0]


def _of_guide(name: str, archive: Path) -> Iterator[Figure]:
    known = definitions(archive.read_bytes())
    profiles = Profiles(known)
    structures = {one["url"]: one for one in known if one["resourceType"] == "StructureDefinition"}
    cases = list(claims(archive, profiles))
    valid = sum(not _has_error(profiles, resource, url) for _, resource, url in cases)
    yield Figure(check=f"{name}.valid", passed=valid, failed=len(cases) - valid)
    caught: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    for _, resource, url in cases:
        for variant in variants(resource, structures[url], profiles.terms):
            if validate(variant.resource):
                continue  # R4 itself forbids it: that is no proof of the profile
            seen = _has_error(profiles, variant.resource, url)
            (caught if seen else missed)[variant.kind] += 1
    for kind in sorted(caught | missed):
        yield Figure(check=f"{name}.{kind.replace(' ', '-')}", passed=caught[kind], failed=missed[kind])
    yield Figure(check=f"{name}.speed", value=_microseconds(profiles, cases), unit="us a resource")


def _has_error(profiles: Profiles, resource: Resource, url: str) -> bool:
    return any(issue.is_error for issue in profiles.validate(resource, url))


def _microseconds(profiles: Profiles, cases: list[tuple[str, Resource, str]]) -> float:
    """Process time of validating an example against R4 and its profile: the mean of the best of some rounds."""
    total = 0.0
    for _, resource, url in cases:
        times: list[float] = []
        for _ in range(ROUNDS):
            start = time.process_time()
            profiles.validate(resource, url)
            times.append(time.process_time() - start)
        total += min(times)
    return round(total / len(cases) * 1e6, 1)
