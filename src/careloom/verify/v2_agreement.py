"""verify.v2_agreement: how far our resources of the public HL7 v2 samples agree with what another converter expects.

Room: verify. Reads `v2-to-fhir/ms-converter.tar.zst` of the public suites (github.com/microsoft/FHIR-Converter, MIT):
samples, and the bundle that its templates make of each. No measure of what is right: it shows where two maps differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from careloom.fhir.resource import Resource
from careloom.settings import Settings
from careloom.store.event import Event
from careloom.unify.hl7v2.convert import to_resources
from careloom.verify.archive import files
from careloom.verify.figure import Figure
from careloom.verify.v2_ledger import ARCHIVE, RECEIVED, samples

NAME = "v2-agreement"
Values = Callable[[Resource], Iterator[str]]


def check(settings: Settings) -> list[Figure]:
    """For each element, the share (%) of the expected values, one by one in each sample, that we state too."""
    archive = settings.conformance / ARCHIVE
    if not archive.exists():
        return [Figure(check=NAME, note=f"The suite {ARCHIVE} is absent: set CARELOOM_CONFORMANCE.")]
    expected = _expected(archive)
    met: Counter[str] = Counter()
    wanted: Counter[str] = Counter()
    compared = 0
    for name, body in samples(archive):
        bundle = expected.get(Path(name).stem.lower())
        if bundle is None:
            continue
        compared += 1
        event = Event(1, "sample", "hl7v2", body, name, RECEIVED, "received")
        ours = [stated.resource for stated in to_resources(event, lambda _type, _id: None).stated]
        for element, values in ELEMENTS.items():
            theirs = _values(element, values, bundle)
            wanted[element] += theirs.total()
            met[element] += (theirs & _values(element, values, ours)).total()
    shares = [
        Figure(
            check=f"{NAME}.{element}",
            value=round(100 * met[element] / wanted[element], 1),
            unit=f"% of {wanted[element]}",
        )
        for element in ELEMENTS
        if wanted[element]
    ]
    return [Figure(check=f"{NAME}.samples", value=compared, unit="count"), *shares]


def _values(element: str, values: Values, resources: list[Resource]) -> Counter[str]:
    rtype = element.partition(".")[0]
    return Counter(
        value
        for resource in resources
        if resource["resourceType"] == rtype
        for value in values(resource)
        if value
    )


def _expected(archive: Path) -> dict[str, list[Resource]]:
    """Name of the sample, in lower case -> the resources expected of it."""
    found: dict[str, list[Resource]] = {}
    for path, raw in files(archive):
        if "expected/Hl7v2/" in path:
            name = Path(path).stem.removesuffix("-expected").lower()
            found[name] = [entry["resource"] for entry in msgspec.json.decode(raw).get("entry", [])]
    return found


def _plain(name: str) -> Values:
    return lambda resource: iter([str(resource.get(name, ""))])


def _names(resource: Resource) -> Iterator[str]:
    for name in resource.get("name", []):
        yield f"{name.get('family', '')}|{' '.join(name.get('given', []))}".casefold()


def _numbers(resource: Resource) -> Iterator[str]:
    yield from (str(identifier.get("value", "")) for identifier in resource.get("identifier", []))


def _postal_codes(resource: Resource) -> Iterator[str]:
    yield from (str(address.get("postalCode", "")) for address in resource.get("address", []))


def _codes(name: str) -> Values:
    def codes(resource: Resource) -> Iterator[str]:
        concept: dict[str, Any] = resource.get(name, {})
        yield from (str(coding.get("code", "")) for coding in concept.get("coding", [])[:1])

    return codes


def _day(name: str, part: str) -> Values:
    return lambda resource: iter([str(resource.get(name, {}).get(part, ""))[:10]])


def _quantity(resource: Resource) -> Iterator[str]:
    value = resource.get("valueQuantity", {}).get("value")
    yield "" if value is None else f"{float(value):g}"


ELEMENTS: dict[str, Values] = {
    "Patient.identifier": _numbers,
    "Patient.name": _names,
    "Patient.gender": _plain("gender"),
    "Patient.birthDate": _plain("birthDate"),
    "Patient.postalCode": _postal_codes,
    "Encounter.status": _plain("status"),
    "Encounter.class": lambda resource: iter([str(resource.get("class", {}).get("code", ""))]),
    "Encounter.identifier": _numbers,
    "Encounter.period.start": _day("period", "start"),
    "Encounter.period.end": _day("period", "end"),
    "AllergyIntolerance.code": _codes("code"),
    "Condition.code": _codes("code"),
    "Procedure.code": _codes("code"),
    "RelatedPerson.name": _names,
    "Observation.code": _codes("code"),
    "Observation.status": _plain("status"),
    "Observation.value": _quantity,
    "DiagnosticReport.code": _codes("code"),
}
"""Element -> its values, each as a text that two converters can have in common."""
