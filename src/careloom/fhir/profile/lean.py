"""fhir.profile.lean: a StructureDefinition without its prose: what a validator reads of it.

Room: fhir. May import: the standard library only. Standard: https://hl7.org/fhir/R4/structuredefinition.html
"""

from __future__ import annotations

from typing import Any

Definition = dict[str, Any]
_HEAD = ("url", "name", "type", "kind", "derivation", "baseDefinition")
_KEPT = frozenset(
    {"id", "path", "sliceName", "slicing", "min", "max", "type", "contentReference", "maxLength", "binding"}
    | {"constraint", "mustSupport"}
)
_VALUES = ("fixed", "pattern", "minValue", "maxValue")
_MAX_VALUE_SET = "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet"


def lean(profile: Definition) -> Definition:
    """The head of a StructureDefinition, its snapshot and its differential, where it has them.

    >>> lean({"url": "urn:p", "publisher": "P", "differential": {"element": [{"path": "Basic", "short": "B"}]}})
    {'url': 'urn:p', 'differential': {'element': [{'path': 'Basic'}]}}
    """
    found = {key: profile[key] for key in _HEAD if key in profile}
    for view in ("snapshot", "differential"):
        elements = profile.get(view, {}).get("element", ())
        if elements:
            found[view] = {"element": [lean_element(one) for one in elements]}
    return found


def lean_element(element: Definition) -> Definition:
    """What an ElementDefinition asks; texts and mappings are most of the rest."""
    found = {key: value for key, value in element.items() if key in _KEPT or key.startswith(_VALUES)}
    if "type" in found:
        found["type"] = [_only(one, "code", "profile", "targetProfile") for one in found["type"]]
    if "slicing" in found:
        found["slicing"] = _only(found["slicing"], "discriminator", "rules", "ordered")
    if "binding" in found:
        found["binding"] = _binding(found["binding"])
    if "constraint" in found:
        keys = ("key", "severity", "human", "expression", "source")
        found["constraint"] = [_only(one, *keys) for one in found["constraint"]]
    return found


def _binding(binding: Definition) -> Definition:
    most = [one for one in binding.get("extension", ()) if one.get("url") == _MAX_VALUE_SET]
    return _only(binding, "strength", "valueSet") | ({"extension": most} if most else {})


def _only(value: Definition, *keys: str) -> Definition:
    return {key: value[key] for key in keys if key in value}
