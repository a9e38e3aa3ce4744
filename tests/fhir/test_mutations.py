"""Eighteen kinds of error, put into valid Synthea resources one at a time: the validator must see them.

`pytest tests/fhir/test_mutations.py -s` prints the table.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from careloom.fhir.bundle import read
from careloom.fhir.resource import Resource, loads
from careloom.fhir.validate import validate

PER_KIND = 60
DATES = ["effectiveDateTime", "birthDate", "recordedDate", "authoredOn", "occurrenceDateTime", "onsetDateTime", "created", "issued"]  # fmt: skip
REQUIRED = {
    "Observation": "code",
    "Condition": "subject",
    "Encounter": "class",
    "Procedure": "subject",
    "Immunization": "vaccineCode",
    "MedicationRequest": "intent",
    "Claim": "provider",
    "ExplanationOfBenefit": "insurer",
    "DiagnosticReport": "code",
    "CarePlan": "intent",
    "Goal": "description",
    "AllergyIntolerance": "patient",
    "ImagingStudy": "status",
}
OTHER_CHOICE = {
    "onsetDateTime": "onsetString",
    "effectiveDateTime": "effectivePeriod",
    "valueQuantity": "valueString",
}

# Each changes the resource and says whether it found a place to.
Mutation = Callable[[Resource], bool]


def put(resource: Resource, name: str, value: Any) -> bool:
    resource[name] = value
    return True


def first(resource: Resource, names: list[str]) -> str | None:
    return next((name for name in names if name in resource), None)


def on_date(change: Callable[[str], str]) -> Mutation:
    def mutate(resource: Resource) -> bool:
        name = first(resource, DATES)
        return name is not None and put(resource, name, change(resource[name]))

    return mutate


def code_outside_binding(resource: Resource) -> bool:
    name = first(resource, ["status", "gender"])
    return name is not None and isinstance(resource[name], str) and put(resource, name, "not-a-code")


def missing_required(resource: Resource) -> bool:
    return resource.pop(REQUIRED.get(resource["resourceType"], ""), None) is not None


def object_for_array(resource: Resource) -> bool:
    name = next((n for n, v in resource.items() if isinstance(v, list) and v), None)
    return name is not None and put(resource, name, resource[name][0])


def array_for_value(resource: Resource) -> bool:
    name = first(resource, ["status", "subject", "code", "birthDate", "gender"])
    return name is not None and put(resource, name, [resource[name]])


def wrong_target(resource: Resource) -> bool:
    name = first(resource, ["subject", "patient"])
    return name is not None and put(resource, name, {"reference": "Medication/abc"})


def two_of_a_choice(resource: Resource) -> bool:
    name = first(resource, list(OTHER_CHOICE))
    if name is None:
        return False
    value = {"start": "2019-01-01"} if name == "effectiveDateTime" else "x"
    return put(resource, OTHER_CHOICE[name], value)


def unknown_nested(resource: Resource) -> bool:
    name = next((n for n, v in resource.items() if isinstance(v, dict) and n not in {"meta", "text"}), None)
    return name is not None and put(resource[name], "bogus", "x")


def extension(value: dict[str, Any]) -> Mutation:
    return lambda resource: resource.setdefault("extension", []).append(value) is None


def broken_invariant(resource: Resource) -> bool:
    if resource["resourceType"] == "Observation" and any(name.startswith("value") for name in resource):
        return put(resource, "dataAbsentReason", {"text": "x"})
    if resource["resourceType"] == "Patient":
        return put(resource, "contact", [{"gender": "male"}])
    return "period" in resource and put(resource, "period", {"start": "2020-01-02", "end": "2020-01-01"})


def quantity_as_text(resource: Resource) -> bool:
    return "valueQuantity" in resource and put(resource["valueQuantity"], "value", "12")


MUTATIONS: dict[str, Mutation] = {
    "unknown element": lambda resource: put(resource, "fooBar", 1),
    "number for id": lambda resource: put(resource, "id", 17),
    "code outside a required binding": code_outside_binding,
    "required element missing": missing_required,
    "object for array": object_for_array,
    "array for value": array_for_value,
    "date of wrong form": on_date(lambda _: "2019-13-45"),
    "date not in the calendar": on_date(lambda text: "2019-02-30" + text[10:]),
    "reference to a wrong type": wrong_target,
    "empty object": lambda resource: put(resource, "meta", {}),
    "empty string": lambda resource: put(resource, "language", ""),
    "two values of a choice": two_of_a_choice,
    "id of wrong form": lambda resource: put(resource, "id", "bad id with spaces!"),
    "unknown nested element": unknown_nested,
    "extension without url": extension({"valueString": "no url"}),
    "extension with value and extensions": extension(
        {"url": "http://x", "valueString": "a", "extension": [{"url": "http://y", "valueString": "b"}]}
    ),
    "broken invariant": broken_invariant,
    "text for a decimal": quantity_as_text,
}


def sample(bundles: list[bytes]) -> list[bytes]:
    """Up to 60 resources of each type, shuffled."""
    by_type: dict[str, list[bytes]] = defaultdict(list)
    for raw in bundles:
        for entry in read(raw).entries:
            assert entry.body is not None
            by_type[entry.rtype].append(entry.body)
    chance = random.Random(3)
    found = [body for bodies in by_type.values() for body in chance.sample(bodies, min(len(bodies), 60))]
    chance.shuffle(found)
    return found


def test_the_resources_of_synthea_are_valid(synthea_bundles: list[bytes]) -> None:
    for raw in synthea_bundles:
        for entry in read(raw).entries:
            assert entry.body is not None
            assert validate(loads(entry.body)) == []


def test_eighteen_kinds_of_error_are_seen(synthea_bundles: list[bytes]) -> None:
    bodies = sample(synthea_bundles)
    print(f"\n{len(bodies)} valid resources")
    for kind, mutate in MUTATIONS.items():
        mutants: list[Resource] = []
        for body in bodies:
            resource = loads(body)
            if mutate(resource):
                mutants.append(resource)
            if len(mutants) == PER_KIND:
                break
        caught = sum(bool(validate(mutant)) for mutant in mutants)
        print(f"| {kind} | {caught} of {len(mutants)} |")
        assert len(mutants) >= 20, kind
        assert caught >= 0.99 * len(mutants), kind
