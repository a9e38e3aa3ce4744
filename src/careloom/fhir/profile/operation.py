"""fhir.profile.operation: what $validate answers: R4, the profile asked for, and those that the resource claims.

Room: fhir. May import: fhir.outcome, fhir.profile, fhir.validate.
Standard: https://hl7.org/fhir/R4/resource-operation-validate.html

For POST [base]/[type]/$validate, and with an id, web calls

    outcome = validation_outcome(resource, flow.profiles, profile=asked_for, mode=mode)

with the resource of the body (bare, or the parameter `resource` of a Parameters) or, where the body has none, the one
stored under the id; `profile` and `mode` are parameters of the same names, of the body or of the address. The answer
is an OperationOutcome with status 200, whatever it says. Whether a delete would be allowed only the store can say:
with mode delete the content is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from careloom.fhir.outcome import Issue, OutcomeError, operation_outcome
from careloom.fhir.profile.profiles import Profiles
from careloom.fhir.resource import Resource
from careloom.fhir.validate import MAX_ISSUES, validate

MODES = frozenset({"", "create", "update", "delete", "profile"})
_ALL_GOOD = Issue("informational", "No fault was found.", severity="information")


def validation_outcome(
    resource: Resource | None,
    profiles: Profiles,
    *,
    profile: str = "",
    mode: str = "",
    more: Callable[[Resource], list[Issue]] | None = None,
) -> Resource:
    """The OperationOutcome of $validate; `more` finds what this server asks of a resource that is valid.

    Raises OutcomeError for a mode or profile that is not known, and where there is no resource to look at.

    >>> outcome = validation_outcome({"resourceType": "Basic"}, Profiles())
    >>> [(issue["severity"], issue["expression"]) for issue in outcome["issue"]]
    [('error', ['Basic.code'])]
    """
    if mode not in MODES:
        raise OutcomeError(Issue("value", "The mode is create, update, delete or profile.", "mode"))
    if profile and profile not in profiles:
        raise OutcomeError(Issue("not-found", f"The profile {profile} is not known here.", "profile"))
    if mode == "profile" and not profile:
        raise OutcomeError(Issue("required", "With mode profile, name the profile.", "profile"))
    if mode == "delete":
        return operation_outcome([_ALL_GOOD])
    if resource is None:
        raise OutcomeError(Issue("required", "There is no resource to validate.", "resource"))
    issues = validate(resource)
    if not any(issue.is_error for issue in issues):
        issues += _beyond_r4(resource, profiles, profile, mode) + (more(resource) if more else [])
    return operation_outcome(issues[:MAX_ISSUES] or [_ALL_GOOD])


def _beyond_r4(resource: Resource, profiles: Profiles, profile: str, mode: str) -> list[Issue]:
    issues = profiles.conformance(resource, profile) if profile else []
    rtype = resource["resourceType"]
    if mode == "update" and "id" not in resource:
        issues.append(Issue("required", "An update names the resource by its id.", f"{rtype}.id"))
    for one, path in _resources(resource, rtype):
        for url in one.get("meta", {}).get("profile", ()):
            if one is resource and profile and url.partition("|")[0] == profile.partition("|")[0]:
                continue
            issues += _claimed(profiles, one, url, resource, path)
    return list(dict.fromkeys(issues)) + list(_modifiers(resource, rtype, profiles))


def _claimed(profiles: Profiles, one: Resource, url: str, within: Resource, path: str) -> list[Issue]:
    """What a profile finds that the resource claims; one that is not known, or not sound, is no fault of the resource."""
    why = "is not known here"
    if url in profiles:
        try:
            return profiles.conformance(one, url, within=within, path=path)
        except OutcomeError:
            why = "has no snapshot, and none can be made"
    text = f"Not checked: the profile {url} that the resource claims {why}."
    return [Issue("not-supported", text, f"{path}.meta.profile", "warning")]


def _resources(resource: Resource, path: str) -> Iterator[tuple[Resource, str]]:
    """The resource and, of a Bundle, those within."""
    yield resource, path
    for index, entry in enumerate(resource.get("entry", ()) if resource["resourceType"] == "Bundle" else ()):
        if "resource" in entry:
            yield from _resources(entry["resource"], f"{path}.entry[{index}].resource")


def _modifiers(value: Any, path: str, profiles: Profiles) -> Iterator[Issue]:
    """Modifier extensions that no profile here defines: who does not know them must not use the resource."""
    if type(value) is list:
        for index, item in enumerate(value):
            yield from _modifiers(item, f"{path}[{index}]", profiles)
    elif type(value) is dict:
        for key, inner in value.items():
            below = f"{path}.{key}"
            if key != "modifierExtension":
                yield from _modifiers(inner, below, profiles)
                continue
            for index, extension in enumerate(inner):
                if extension["url"] not in profiles:
                    text = "The modifier extension is not known here: what it changes is not understood."
                    yield Issue("not-supported", text, f"{below}[{index}]", "warning")
