"""verify.us_core_examples: the examples of US Core, IPS and mCODE conform to what they claim; made wrong, they do not.

Room: verify. Reads `fhir-r4-definitions/us-core` (npm hl7.fhir.us.core 6.1, 7.0 and 8.0, CC0) and
`fhir-r4-definitions/npm` (npm hl7.fhir.uv.ips 2.0.0 and hl7.fhir.us.mcode 4.0.0, CC0). Expected is what the validator
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
_US_CORE = "fhir-r4-definitions/us-core/us_core_{}.tgz"
PACKAGES: dict[str, tuple[str, ...]] = {
    "us-core": (_US_CORE.format("610"),),
    "us-core-7": (_US_CORE.format("700"),),
    "us-core-8": (_US_CORE.format("800"),),
    "ips": ("fhir-r4-definitions/npm/hl7.fhir.uv.ips-2.0.0.tgz",),
    "mcode": ("fhir-r4-definitions/npm/hl7.fhir.us.mcode-4.0.0.tgz", _US_CORE.format("610")),
}
"""Guide -> its package, and those that it builds on."""
FAULTY = {
    "Observation-tnm-pathologic-distant-metastases-category-jenny-m.json": (
        "Its code is of a system (data-absent-reason) from which the maximum value set of the profile takes nothing. The "
        "validator of HL7 was silent: its terminology server could not expand that value set."
    ),
}
"""Examples that break their profile -> why; each must be found to do so."""
ROUNDS = 3


def check(settings: Settings) -> list[Figure]:
    """Figures for each guide: valid examples; all files; variants that are valid R4 and break the profile; microseconds."""
    figures: list[Figure] = []
    for guide, archives in PACKAGES.items():
        paths = [settings.conformance / archive for archive in archives]
        missing = next((path.name for path in paths if not path.exists()), "")
        if missing:
            figures.append(Figure(check=NAME, note=f"{missing} is absent: set CARELOOM_CONFORMANCE."))
        else:
            figures += _of_guide(f"{NAME}.{guide}", *paths)
    return figures


def claims(archive: Path, profiles: Profiles) -> Iterator[tuple[str, Resource, str]]:
    """File, example and a profile that it claims, where the profile is known."""
    for name, raw in sorted(files(archive)):
        if "/example/" in name:
            resource = loads(raw)
            for url in resource.get("meta", {}).get("profile", ()):
                if url in profiles:
                    yield name, resource, url.partition("|")[0]


def _of_guide(name: str, archive: Path, *others: Path) -> Iterator[Figure]:
    known = [one for path in (*others, archive) for one in definitions(path.read_bytes())]
    profiles = Profiles(known)
    structures = {one["url"]: one for one in known if one["resourceType"] == "StructureDefinition"}
    cases = list(claims(archive, profiles))
    valid = sum(_has_error(profiles, resource, url) == _is_faulty(file) for file, resource, url in cases)
    yield Figure(check=f"{name}.valid", passed=valid, failed=len(cases) - valid)
    yield _of_files(name, archive, {file for file, _, _ in cases})
    caught: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    for file, resource, url in cases:
        if _is_faulty(file) or url not in structures:
            continue  # a profile of R4 itself brings no published snapshot to make variants by
        for variant in variants(resource, structures[url], profiles.terms):
            if validate(variant.resource):
                continue  # R4 itself forbids it: that is no proof of the profile
            seen = _has_error(profiles, variant.resource, url)
            (caught if seen else missed)[variant.kind] += 1
    for kind in sorted(caught | missed):
        yield Figure(check=f"{name}.{kind.replace(' ', '-')}", passed=caught[kind], failed=missed[kind])
    yield Figure(check=f"{name}.speed", value=_microseconds(profiles, cases), unit="us a resource")


def _of_files(name: str, archive: Path, claiming: set[str]) -> Figure:
    """All example files: those that claim no profile that is known must be valid R4."""
    others = [raw for file, raw in files(archive) if "/example/" in file and file not in claiming]
    valid = sum(not any(issue.is_error for issue in validate(loads(raw))) for raw in others)
    return Figure(check=f"{name}.files", passed=len(claiming) + valid, failed=len(others) - valid)


def _is_faulty(file: str) -> bool:
    return file.rpartition("/")[2] in FAULTY


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
