"""verify.snapshots: snapshots made from differentials are those that were published with R4 and with the guides.

Room: verify. Reads the R4 package (npm hl7.fhir.r4.examples, CC0), US Core 6.1, 7.0 and 8.0, IPS 2.0 and mCODE 4.0.
Every snapshot is taken away first, also of what a profile builds on, and then made from the differentials alone.
Compared are the elements with their ids and order, and of each: cardinality, types with their profiles, fixed and
pattern values, bounds, binding, slicing, constraints, content reference and must-support.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from careloom.fhir.outcome import OutcomeError
from careloom.fhir.profile import definitions
from careloom.fhir.profile.lean import Definition, lean_element
from careloom.fhir.profile.snapshot import CORE
from careloom.fhir.profile.structures import Structures
from careloom.fhir.resource import loads
from careloom.settings import Settings
from careloom.verify.archive import files
from careloom.verify.figure import Figure
from careloom.verify.r4_examples import ARCHIVE

NAME = "snapshots"
_US_CORE = "fhir-r4-definitions/us-core/us_core_{}.tgz"
PACKAGES: dict[str, tuple[str, ...]] = {
    "r4": (ARCHIVE,),
    "us-core": (_US_CORE.format("610"),),
    "us-core-7": (_US_CORE.format("700"),),
    "us-core-8": (_US_CORE.format("800"),),
    "ips": ("fhir-r4-definitions/npm/hl7.fhir.uv.ips-2.0.0.tgz",),
    "mcode": ("fhir-r4-definitions/npm/hl7.fhir.us.mcode-4.0.0.tgz", _US_CORE.format("610")),
}
"""Guide -> its package, and those that it builds on."""

_SHORTCUT = (
    "R4 was published by the rule of STU3: `valueQuantity` in a differential closed the choice. In the guides, which "
    "were published later, it is an open slice."
)
_UNSLICED = (
    "Published before the publisher of HL7 began to repeat, in each new slice, what the same differential says below "
    "the unsliced element. It asks the same of a resource."
)
_ABSENT = "It builds on a profile of a guide that is not among the suites."
_SHORTCUTS = (
    "bmi bodyheight bodytemp bodyweight bp cholesterol devicemetricobservation hdlcholesterol headcircum heartrate "
    "ldlcholesterol oxygensat resprate triglyceride"
)
EXCLUDED: dict[str, dict[str, str]] = {
    "r4": dict.fromkeys(_SHORTCUTS.split(), _SHORTCUT)
    | {
        "catalog": "The published snapshot lacks Composition.date, which is required.",
        "familymemberhistory-genetic": "The published snapshot lacks elements of its base (born[x], condition).",
        "elementdefinition-de": "The published snapshot opens extensions that the differential does not look into.",
        "provenance-relevant-history": "In the published snapshot a contentReference names a slice.",
    },
    "us-core": dict.fromkeys(
        ("us-core-organization", "us-core-practitioner", "us-core-provenance"), _UNSLICED
    )
    | {"us-core-questionnaireresponse": _ABSENT},
    "us-core-7": dict.fromkeys(
        [
            "us-core-average-blood-pressure",
            "us-core-organization",
            "us-core-practitioner",
            "us-core-provenance",
        ],
        _UNSLICED,
    )
    | {"us-core-questionnaireresponse": _ABSENT},
    "us-core-8": {"us-core-questionnaireresponse": _ABSENT},
    "ips": {},
    "mcode": {"mcode-patient-bundle": _UNSLICED}
    | dict.fromkeys(
        ("mcode-genomic-region-studied", "mcode-genomic-variant", "mcode-genomics-report"), _ABSENT
    ),
}
"""Guide -> id of a StructureDefinition -> why its snapshot is another. One that comes to be the same must be struck off."""
_BY_URL = ([("value", "url")], "open", False)


def check(settings: Settings) -> list[Figure]:
    """Figures: for each guide how many snapshots are as published; how many elements these have together."""
    figures: list[Figure] = []
    compared = 0
    for guide, archives in PACKAGES.items():
        paths = [settings.conformance / archive for archive in archives]
        missing = next((path.name for path in paths if not path.exists()), "")
        if missing:
            figures.append(
                Figure(check=f"{NAME}.{guide}", note=f"{missing} is absent: set CARELOOM_CONFORMANCE.")
            )
            continue
        passed = failed = 0
        for id_, found, elements in of_guide(paths):
            is_right = bool(found) == (id_ in EXCLUDED[guide])
            passed += is_right and not found
            failed += not is_right
            compared += 0 if found else elements
        figures.append(Figure(check=f"{NAME}.{guide}", passed=passed, failed=failed))
    return [*figures, Figure(check=f"{NAME}.elements", value=compared, unit="elements")]


def of_guide(paths: list[Path]) -> Iterator[tuple[str, list[str], int]]:
    """Id, differences to what was published, and number of elements, of each StructureDefinition of the first package."""
    packages = [list(_structures(path)) for path in paths]
    given = [{**one, "snapshot": {}} for package in reversed(packages) for one in package]
    structures = Structures(given)
    for one in packages[0]:
        published = one.get("snapshot", {}).get("element", [])
        if one["kind"] == "logical" or not published:
            continue
        try:
            made = structures.elements(one["url"]) or []
        except OutcomeError as error:
            yield one["id"], [str(error)], 0
        else:
            yield (
                one["id"],
                list(differences(made, [lean_element(element) for element in published])),
                len(made),
            )


def differences(made: list[Definition], published: list[Definition]) -> Iterator[str]:
    """Where two snapshots say different things; nothing where they are the same.

    >>> list(differences([{"id": "Basic", "min": 0}], [{"id": "Basic", "min": 1}]))
    ['Basic: min']
    """
    ours, theirs = ({one["id"]: _comparable(one) for one in elements} for elements in (made, published))
    yield from (f"{id_}: missing" for id_ in theirs if id_ not in ours)
    yield from (f"{id_}: not published" for id_ in ours if id_ not in theirs)
    if ours.keys() == theirs.keys() and list(ours) != list(theirs):
        yield "the order of elements"
    of_made, of_published = ({one["id"]: _rules(one) for one in elements} for elements in (made, published))
    for id_ in ours.keys() & theirs.keys():
        one, other = ours[id_], theirs[id_]
        rules = ((rule, of_published[id_].get(key, {})) for key, rule in of_made[id_].items())
        yield from (f"{id_}: {rule['key']}" for rule, there in rules if there and not _is_same(rule, there))
        yield from (
            f"{id_}: {key}" for key in sorted(one.keys() | other.keys()) if one.get(key) != other.get(key)
        )


def _structures(path: Path) -> Iterable[dict[str, Any]]:
    if path.suffix == ".tgz":
        found = definitions(path.read_bytes())
        return [one for one in found if one["resourceType"] == "StructureDefinition"]
    return [
        loads(raw) for name, raw in files(path) if name.rpartition("/")[2].startswith("StructureDefinition-")
    ]


def _comparable(element: Definition) -> dict[str, Any]:
    """An element without what is spelt differently and says the same: versions, order within sets, defaults."""
    found = {key: value for key, value in element.items() if key not in {"id", "path"}}
    found["type"] = sorted(_type(one) for one in element.get("type", ()))
    found["mustSupport"] = element.get("mustSupport", False)
    found["slicing"] = _slicing(element.get("slicing"))
    found["contentReference"] = element.get("contentReference", "").rpartition("#")[2]
    binding = element.get("binding", {})
    found["binding"] = {**binding, "valueSet": binding.get("valueSet", "").partition("|")[0]}
    found["constraint"] = sorted(_rules(element))
    return found


def _rules(element: Definition) -> dict[str, Definition]:
    return {one["key"]: one for one in element.get("constraint", ())}


def _is_same(one: Definition, other: Definition) -> bool:
    """Whether a constraint, as made and as published, says the same.

    R4 corrected expressions of its own in later editions of its package, so guides have other ones (vs-1).
    """
    is_of_r4 = one.get("source", "").startswith(CORE)
    return one.get("severity") == other.get("severity") and (
        is_of_r4 or one.get("expression") == other.get("expression")
    )


def _type(one: dict[str, Any]) -> tuple[str, list[str], list[str]]:
    urls = [sorted(url.partition("|")[0] for url in one.get(key, ())) for key in ("profile", "targetProfile")]
    return one["code"], urls[0], urls[1]


def _slicing(slicing: dict[str, Any] | None) -> Any:
    """Extensions are always sliced by url; it is said at some, and not at others."""
    if slicing is None:
        return None
    by = sorted((one["type"], one["path"]) for one in slicing.get("discriminator", ()))
    found = (by, slicing.get("rules"), slicing.get("ordered", False))
    return None if found == _BY_URL else found
