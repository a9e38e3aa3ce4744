"""fhir.invariant: the invariants of R4 that need no FHIRPath engine, as tables of what goes with what.

Room: fhir. May import: fhir.facts, fhir.instant, fhir.outcome. Standard: https://hl7.org/fhir/R4/conformance-rules.html#constraints

Only invariants of severity error stand here, under the key that the standard gives them. They are asked of an
object whose elements were found right, so they may rely on types.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, NamedTuple

from careloom.fhir.facts import children, facts
from careloom.fhir.instant import period
from careloom.fhir.outcome import OutcomeError

_KEY = re.compile(r"\b[a-z]{3}-\d+\b")
Object = dict[str, Any]


class Invariant(NamedTuple):
    """A rule about one object: what is said where it does not hold."""

    text: str
    holds: Callable[[Object], bool]


# Owner, key: where one of the first elements is, one of the second must be.
_NEEDS = (
    ("Attachment", "att-1", "data", "contentType"),
    ("ContactPoint", "cpt-2", "value", "system"),
    ("Quantity", "qty-3", "code", "system"),
    ("Age", "qty-3", "code", "system"),
    ("Count", "qty-3", "code", "system"),
    ("Distance", "qty-3", "code", "system"),
    ("Duration", "qty-3", "code", "system"),
    ("Appointment", "app-2", "start", "end"),
    ("Appointment", "app-2", "end", "start"),
    ("FamilyMemberHistory", "fhs-2", "estimatedAge", "age"),
    ("Goal.target", "gol-1", "detail", "measure"),
    ("ServiceRequest", "prr-1", "orderDetail", "code"),
    ("Timing.repeat", "tim-1", "duration", "durationUnit"),
    ("Timing.repeat", "tim-2", "period", "periodUnit"),
    ("Timing.repeat", "tim-6", "periodMax", "period"),
    ("Timing.repeat", "tim-7", "durationMax", "duration"),
    ("Timing.repeat", "tim-8", "countMax", "count"),
    ("Timing.repeat", "tim-9", "offset", "when"),
    ("TriggerDefinition", "trd-2", "condition", "data"),
    ("ValueSet.compose.include", "vsd-2", "concept filter", "system"),
    ("ValueSet.expansion.contains", "vsd-10", "code", "system"),
)
# Owner, key: one of these must be.
_ONE_OF = (
    ("Appointment.participant", "app-1", "type actor"),
    ("AppointmentResponse", "apr-1", "participantType actor"),
    ("Bundle.entry", "bdl-5", "resource request response"),
    ("Composition.section", "cmp-1", "text entry section"),
    ("Condition.stage", "con-1", "summary assessment"),
    ("Condition.evidence", "con-2", "code detail"),
    ("Consent", "ppc-1", "policy policyRule"),
    ("Expression", "exp-1", "expression reference"),
    ("Immunization.education", "imm-1", "documentType reference"),
    ("ImmunizationRecommendation.recommendation", "imr-1", "vaccineCode targetDisease"),
    ("InsurancePlan", "ipn-1", "identifier name"),
    ("MedicationAdministration.dosage", "mad-1", "dose rate"),
    ("Observation.referenceRange", "obs-3", "low high text"),
    ("Organization", "org-1", "identifier name"),
    ("Patient.contact", "pat-1", "name telecom address organization"),
    ("ValueSet.compose.include", "vsd-1", "valueSet system"),
    ("ValueSet.expansion.contains", "vsd-6", "code display"),
)
# Owner, key: not both of these.
_NOT_BOTH = (
    ("AuditEvent.entity", "sev-1", "name", "query"),
    ("CarePlan.activity", "cpl-3", "detail", "reference"),
    ("Composition.section", "cmp-2", "emptyReason", "entry"),
    ("FamilyMemberHistory", "fhs-1", "age", "born"),
    ("List", "lst-1", "emptyReason", "entry"),
    ("Observation", "obs-6", "dataAbsentReason", "value"),
    ("Questionnaire.item", "que-4", "answerOption", "answerValueSet"),
    ("Questionnaire.item", "que-11", "answerOption", "initial"),
    ("QuestionnaireResponse.item", "qrs-1", "answer", "item"),
    ("Timing.repeat", "tim-10", "timeOfDay", "when"),
    ("TriggerDefinition", "trd-1", "data", "timing"),
    ("ValueSet.compose.include", "vsd-3", "concept", "filter"),
)


def invariants(owner: str) -> list[Invariant]:
    """The invariants of a type or backbone element.

    >>> [one.holds({"gender": "male"}) for one in invariants("Patient.contact")]
    [False]
    """
    found = [_needs(owner, *row[1:]) for row in _NEEDS if row[0] == owner]
    found += [_one_of(owner, *row[1:]) for row in _ONE_OF if row[0] == owner]
    found += [_not_both(owner, *row[1:]) for row in _NOT_BOTH if row[0] == owner]
    return found + _BY_HAND.get(owner, [])


@cache
def keys_by_heart() -> frozenset[str]:
    """The keys of the invariants that stand here.

    >>> "per-1" in keys_by_heart(), "qty-3" in keys_by_heart(), "que-1" in keys_by_heart()
    (True, True, False)
    """
    texts = (one.text for rows in _BY_HAND.values() for one in rows)
    tables = (row[1] for table in (_NEEDS, _ONE_OF, _NOT_BOTH) for row in table)
    return frozenset([*tables, *(key for text in texts for key in _KEY.findall(text))])


def of_contained(resource: Object, local: set[str]) -> list[str]:
    """What is wrong with how a resource contains others; `local` are its references that begin with #."""
    contained = resource["contained"]
    metas = [one.get("meta", {}) for one in contained]
    found: list[str] = []
    ids = [one["id"] for one in contained if "id" in one]
    if len(set(ids)) < len(ids):
        found.append("No two that are contained have the same id (R4 references, 2.3.0.2).")
    if not all(f"#{one.get('id')}" in local for one in contained) and not _is_referred_to(resource):
        found.append("What is contained is referred to, or refers to what contains it (dom-3).")
    if any("versionId" in meta or "lastUpdated" in meta for meta in metas):
        found.append("What is contained has no versionId or lastUpdated (dom-4).")
    if any("security" in meta for meta in metas):
        found.append("What is contained has no security label (dom-5).")
    return found


def _is_referred_to(resource: Object) -> bool:
    """The whole of dom-3: uris and canonicals may lead to what is contained, too."""
    addresses = set(_local_addresses(resource))
    return all(
        f"#{one.get('id')}" in addresses or "#" in _local_addresses(one) for one in resource["contained"]
    )


def _needs(owner: str, key: str, if_any: str, then_any: str) -> Invariant:
    first, second = _keys(owner, if_any), _keys(owner, then_any)

    def holds(value: Object) -> bool:
        return value.keys().isdisjoint(first) or not value.keys().isdisjoint(second)

    return Invariant(f"With {_or(if_any)} there must be {_or(then_any)} ({key}).", holds)


def _one_of(owner: str, key: str, any_of: str) -> Invariant:
    keys = _keys(owner, any_of)

    def holds(value: Object) -> bool:
        return not value.keys().isdisjoint(keys)

    return Invariant(f"There must be {_or(any_of)} ({key}).", holds)


def _not_both(owner: str, key: str, one: str, other: str) -> Invariant:
    first, second = _keys(owner, one), _keys(owner, other)

    def holds(value: Object) -> bool:
        return value.keys().isdisjoint(first) or value.keys().isdisjoint(second)

    return Invariant(f"There cannot be both {one} and {other} ({key}).", holds)


def _keys(owner: str, names: str) -> frozenset[str]:
    """The JSON keys of elements, choices spelt out, with the siblings of primitives: an extension alone exists."""
    found: set[str] = set()
    for name in names.split():
        for child in children(owner, name):
            found.add(child.key)
            if child.type in facts().primitives:
                found.add(f"_{child.key}")
    return frozenset(found)


def _or(names: str) -> str:
    return " or ".join(names.split())


def _starts_before_it_ends(value: Object) -> bool:
    start, end = value.get("start"), value.get("end")
    if start is None or end is None or (len(start) == len(end) and start[-6:] == end[-6:] and start <= end):
        return True
    try:
        span = period(value)
    except OutcomeError:
        return True
    return span is None or span[0] < span[1]


def _low_is_not_above_high(value: Object) -> bool:
    low, high = value.get("low", {}), value.get("high", {})
    if low.get("code") != high.get("code") or low.get("unit") != high.get("unit"):
        return True
    return not ("value" in low and "value" in high) or low["value"] <= high["value"]


def _ratio_is_whole(value: Object) -> bool:
    both_or_none = ("numerator" in value) == ("denominator" in value)
    return both_or_none and ("numerator" in value or "extension" in value)


def _components_have_other_codes(observation: Object) -> bool:
    if "component" not in observation or not any(key.startswith("value") for key in observation):
        return True
    own = set(_codings(observation.get("code", {})))
    return not any(own.intersection(_codings(part.get("code", {}))) for part in observation["component"])


def _abated_is_not_active(condition: Object) -> bool:
    if not any(key.startswith(("abatement", "_abatement")) for key in condition):
        return True
    codes = {code for _, code in _codings(condition.get("clinicalStatus", {}))}
    return not codes.isdisjoint({"resolved", "remission", "inactive"})


def _is_error(resource: Object) -> bool:
    return "entered-in-error" in {code for _, code in _codings(resource.get("verificationStatus", {}))}


def _error_or_status(allergy: Object) -> bool:
    return _is_error(allergy) != ("clinicalStatus" in allergy)


def _not_error_and_status(condition: Object) -> bool:
    return not (_is_error(condition) and "clinicalStatus" in condition)


def _value_or_extensions(extension: Object) -> bool:
    return any(key.startswith(("value", "_value")) for key in extension) != ("extension" in extension)


def _has_no_home(organization: Object) -> bool:
    contacts = (*organization.get("telecom", ()), *organization.get("address", ()))
    return all(contact.get("use") != "home" for contact in contacts)


def _existence_is_a_boolean(condition: Object) -> bool:
    return condition.get("operator") != "exists" or "answerBoolean" in condition


def _codes_are_distinct(system: Object) -> bool:
    codes: list[str] = []
    waiting = [*system.get("concept", ())]
    while waiting:
        concept = waiting.pop()
        codes.append(concept["code"])
        waiting += concept.get("concept", ())
    return len(codes) == len(set(codes))


def _entries_are_distinct(bundle: Object) -> bool:
    if bundle.get("type") == "history":
        return True
    entries = [one for one in bundle.get("entry", ()) if "fullUrl" in one]
    keys = {(one["fullUrl"], one.get("resource", {}).get("meta", {}).get("versionId")) for one in entries}
    return len(keys) == len(entries)


def _local_addresses(value: Any) -> Iterable[str]:
    """The texts below that begin with #: what refers within the resource is always such."""
    waiting, found = [value], list[str]()
    while waiting:
        one = waiting.pop()
        if type(one) is dict:
            waiting += one.values()
        elif type(one) is list:
            waiting += one
        elif type(one) is str and one[:1] == "#":
            found.append(one)
    return found


def _codings(concept: Object) -> Iterable[tuple[Any, Any]]:
    return ((coding.get("system"), coding.get("code")) for coding in concept.get("coding", ()))


_BY_HAND: dict[str, list[Invariant]] = {
    "AllergyIntolerance": [
        Invariant("There is clinicalStatus, or else it is entered in error (ait-1, ait-2).", _error_or_status)
    ],
    "Bundle": [Invariant("No fullUrl stands twice for the same version (bdl-7).", _entries_are_distinct)],
    "CodeSystem": [Invariant("No code stands twice (csd-1).", _codes_are_distinct)],
    "Condition": [
        Invariant("With abatement it is resolved, in remission or inactive (con-4).", _abated_is_not_active),
        Invariant("What is entered in error has no clinicalStatus (con-5).", _not_error_and_status),
    ],
    "Extension": [Invariant("An extension has either a value or extensions (ext-1).", _value_or_extensions)],
    "Observation": [
        Invariant("With value no component repeats the code (obs-7).", _components_have_other_codes)
    ],
    "Organization": [Invariant("No address or telecom of it has the use home (org-2, org-3).", _has_no_home)],
    "Period": [Invariant("The start must not be after the end (per-1).", _starts_before_it_ends)],
    "Questionnaire.item.enableWhen": [
        Invariant("Whether there is an answer is asked by answerBoolean (que-7).", _existence_is_a_boolean)
    ],
    "Range": [Invariant("The low must not be above the high (rng-2).", _low_is_not_above_high)],
    "Ratio": [
        Invariant(
            "There are numerator and denominator, or neither and an extension (rat-1).", _ratio_is_whole
        )
    ],
}
