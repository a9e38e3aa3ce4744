"""verify.r4_examples: every file of the official R4 package is valid and survives XML; errors put into it are seen.

Room: verify. Reads `fhir-r4-definitions/hl7.fhir.r4.examples-4.0.1.tar.zst` (npm hl7.fhir.r4.examples, CC0) and the
R4 XML files of `fhirpath/fhir-test-cases/r4` (github.com/FHIR/fhir-test-cases).
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from careloom.fhir import xml
from careloom.fhir.outcome import OutcomeError
from careloom.fhir.resource import Resource, loads
from careloom.fhir.validate import validate
from careloom.settings import Settings
from careloom.verify.archive import files
from careloom.verify.exclusion import FAULTY_FILES, FAULTY_SEARCH_PARAMETERS, FOREIGN_XML
from careloom.verify.figure import Figure
from careloom.verify.mutations import MUTATIONS, mutated

NAME = "r4-examples"
ARCHIVE = "fhir-r4-definitions/hl7.fhir.r4.examples-4.0.1.tar.zst"
PUBLISHED_XML = "fhirpath/fhir-test-cases/r4"
MUTANTS = 250
"""Resources into which each kind of error is put, if so many have a place for it."""
_LARGE = 60_000
_INDEX = re.compile(r"\[\d+\]")
_DEFINITIONS = ("StructureDefinition-", "SearchParameter-", "ValueSet-", "CodeSystem-", "ConceptMap-")
_XSI = "{http://www.w3.org/2001/XMLSchema-instance}schemaLocation"


def check(settings: Settings) -> list[Figure]:
    """Figures: examples, definitions, faulty, json-xml-json, xml-json-xml, published-xml, kinds of error, mutants."""
    archive = settings.conformance / ARCHIVE
    if not archive.exists():
        return [Figure(check=NAME, note=f"The suite {ARCHIVE} is absent: set CARELOOM_CONFORMANCE.")]
    package = {name.rpartition("/")[2]: raw for name, raw in files(archive)}
    package.pop("package.json", None)
    figures = [*_of_validation(package), *_of_xml(package), *_of_mutants(package)]
    published = settings.conformance / PUBLISHED_XML
    return [*figures, of_published_xml(published, package)] if published.exists() else figures


def _of_validation(package: dict[str, bytes]) -> Iterator[Figure]:
    """Files without a known fault have no issue; a faulty file has exactly its faults."""
    known = {**FAULTY_FILES, **FAULTY_SEARCH_PARAMETERS}
    right = {True: 0, False: 0}
    wrong: list[str] = []
    faults = 0
    for name, raw in package.items():
        found = frozenset(_INDEX.sub("", issue.expression) for issue in validate(loads(raw)))
        expected = known[name].faults if name in known else frozenset[str]()
        if found != expected:
            wrong.append(name)
        elif name in known:
            faults += 1
        else:
            right[name.startswith(_DEFINITIONS)] += 1
    failed = sum(not name.startswith(_DEFINITIONS) for name in wrong)
    yield Figure(check=f"{NAME}.examples", passed=right[False], failed=failed)
    yield Figure(check=f"{NAME}.definitions", passed=right[True], failed=len(wrong) - failed)
    yield Figure(check=f"{NAME}.faulty", passed=faults, failed=len(known) - faults)


def _of_xml(package: dict[str, bytes]) -> Iterator[Figure]:
    back = same = 0
    for raw in package.values():
        resource = loads(raw)
        written = xml.dumps(resource)
        again = xml.loads(written)
        back += _with_one_line_end(again) == _with_one_line_end(resource)
        same += xml.dumps(again) == written
    yield Figure(check=f"{NAME}.json-xml-json", passed=back, failed=len(package) - back)
    yield Figure(check=f"{NAME}.xml-json-xml", passed=same, failed=len(package) - same)


def _with_one_line_end(value: Any) -> Any:
    """The same with LF for the line ends of narratives: XML has no others (XML 1.0, section 2.11)."""
    if isinstance(value, list):
        return [_with_one_line_end(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: item.replace("\r\n", "\n").replace("\r", "\n") if key == "div" else _with_one_line_end(item)
        for key, item in value.items()
    }


def of_published_xml(folder: Path, package: dict[str, bytes]) -> Figure:
    """XML that others wrote: it comes back canonically equal, and says what the published JSON says."""
    passed = failed = 0
    for path in sorted(folder.rglob("*.xml")):
        name = path.relative_to(folder).as_posix()
        if b'xmlns="http://hl7.org/fhir"' in path.read_bytes() and name not in FOREIGN_XML:
            is_right = _comes_back(path.read_bytes(), package if name.startswith("examples/") else {})
            passed += is_right
            failed += not is_right
    return Figure(check=f"{NAME}.published-xml", passed=passed, failed=failed)


def _comes_back(raw: bytes, package: dict[str, bytes]) -> bool:
    try:
        resource = xml.loads(raw)
        written = xml.dumps(resource)
    except OutcomeError:
        return False
    published = package.get(f"{resource['resourceType']}-{resource.get('id')}.json")
    is_same = published is None or _without_text(resource) == _without_text(loads(published))
    return is_same and _canonical(written) == _canonical(raw)


def _without_text(resource: Resource) -> Resource:
    """Narratives are generated, and those of the two publications by different tools."""
    return {key: value for key, value in resource.items() if key != "text"}


def _canonical(raw: bytes) -> str:
    return ET.canonicalize(raw.decode(), strip_text=True, exclude_attrs=[_XSI])


def _of_mutants(package: dict[str, bytes]) -> Iterator[Figure]:
    valid = [
        raw
        for name, raw in package.items()
        if len(raw) < _LARGE and not name.startswith(_DEFINITIONS) and name not in FAULTY_FILES
    ]
    caught_kinds = caught = missed = 0
    for kind in MUTATIONS:
        seen, unseen = _of_kind(kind, valid)
        caught += seen
        missed += unseen
        caught_kinds += bool(seen) and not unseen
    yield Figure(check=f"{NAME}.error-kinds", passed=caught_kinds, failed=len(MUTATIONS) - caught_kinds)
    yield Figure(check=f"{NAME}.mutants", passed=caught, failed=missed)


def _of_kind(kind: str, valid: list[bytes]) -> tuple[int, int]:
    chance = random.Random(kind)  # noqa: S311 reproducible, not secret
    seen = unseen = 0
    for raw in chance.sample(valid, len(valid)):
        resource = loads(raw)
        if mutated(resource, kind, chance):
            is_seen = any(issue.is_error for issue in validate(resource))
            seen += is_seen
            unseen += not is_seen
        if seen + unseen == MUTANTS:
            break
    return seen, unseen
