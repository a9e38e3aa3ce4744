"""verify.patch: the official suites of JSON Patch and FHIRPath Patch.

Room: verify. Reads `fhirpath/fhir-test-cases` of the public suites (github.com/FHIR/fhir-test-cases).
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from careloom.fhir import patch, xml
from careloom.fhir.outcome import OutcomeError
from careloom.fhir.patch import json
from careloom.fhir.patch.tree import is_same
from careloom.fhir.resource import loads
from careloom.settings import Settings
from careloom.verify.fhirpath_suite import FOLDER
from careloom.verify.figure import Figure

NAME = "patch"


def check(settings: Settings) -> list[Figure]:
    """Figures: patch.json and patch.fhirpath, each the cases that passed and failed."""
    folder = settings.conformance / FOLDER / "r4" / "patch"
    if not folder.exists():
        return [Figure(check=NAME, note=f"The suite {FOLDER} is absent: set CARELOOM_CONFORMANCE.")]
    faults = {"json": list(json_faults(folder)), "fhirpath": list(fhirpath_faults(folder))}
    return [
        Figure(
            check=f"{NAME}.{kind}",
            passed=sum(not fault for _, fault in found),
            failed=sum(bool(f) for _, f in found),
        )
        for kind, found in faults.items()
    ]


def json_faults(folder: Path) -> Iterator[tuple[str, str]]:
    """Name of each case of JSON Patch, and what is wrong; "" if nothing is."""
    for case in loads((folder / "json-patch-tests.json").read_bytes()):
        try:
            found = json.apply(case["doc"], case["patch"])
        except OutcomeError as error:
            yield case["comment"], "" if "error" in case else f"refused: {error}"
            continue
        yield case["comment"], _fault(found, case.get("expected"), is_refusal="error" in case)


def fhirpath_faults(folder: Path) -> Iterator[tuple[str, str]]:
    """The same of FHIRPath Patch."""
    # The suite is a trusted local file, and nothing in it is declared or fetched.
    for case in ET.parse(folder / "fhir-patch-tests.xml").getroot():  # noqa: S314
        name, wanted = case.attrib["name"], case.find("output/*")
        resource, parameters = (_resource(case.find(f"{part}/*")) for part in ("input", "diff"))
        try:
            found = patch.apply(resource, parameters)
        except OutcomeError as error:
            yield name, "" if wanted is None else f"refused: {error}"
            continue
        yield name, _fault(found, None if wanted is None else _resource(wanted), is_refusal=wanted is None)


def _fault(found: Any, expected: Any, *, is_refusal: bool) -> str:
    if is_refusal:
        return "not refused"
    return "" if is_same(found, expected) else f"gave {found}, expected {expected}"


def _resource(element: ET.Element | None) -> Any:
    return None if element is None else xml.loads(ET.tostring(element))
