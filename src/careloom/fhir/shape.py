"""fhir.shape: compiles the structure of one R4 type to a check, and finds faults without minding where they are.

Room: fhir. May import: fhir.facts, fhir.primitive, fhir.invariant, fhir.rule. Standard: https://hl7.org/fhir/R4/json.html

A valid resource must cost little, so no path is carried along: a fault holds the object that it was found in, and
fhir.validate looks for that object again to name its path.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from careloom.fhir.facts import Child, Element, children, facts, resource_types
from careloom.fhir.invariant import Invariant, invariants, of_contained
from careloom.fhir.outcome import IssueCode
from careloom.fhir.primitive import Test, code_test, grammar_test, test_of
from careloom.fhir.rule import rules

Object = dict[str, Any]


class Fault(NamedTuple):
    """What is wrong with the value of `key` (or one item of it) in `owner`."""

    owner: Object
    key: str
    item: int | None
    code: IssueCode
    text: str


class Faults(list[Fault]):
    """What was found so far; `local` are the references `#id` of the resource at hand and the types that each
    may lead to, looked up at its end."""

    def __init__(self) -> None:
        super().__init__()
        self.local: list[tuple[Object, frozenset[str]]] = []


Check = Callable[[Object, "Faults"], None]

# What stands behind a key, most frequent first.
PRIMITIVE, COMPLEX, COMPLEXES, PRIMITIVES, SIBLING, SIBLINGS, OTHER = range(7)


class Field(NamedTuple):
    """A key that an owner may have."""

    kind: int
    test: Any
    """A Test for primitives, a Check for the others."""
    choice: str
    """Name of the choice element that the key belongs to (`value`), or ""."""
    base: str
    """The key without its underscore: `valueString` for `_valueString`."""
    text: str
    """What is said of a value that fails."""
    content: str
    """Type or path of what a complex value holds."""


@dataclass(slots=True)
class Shape:
    """What an owner may and must have."""

    fields: dict[str, Field] = field(default_factory=dict[str, Field])
    tests: dict[str, tuple[int, Any]] = field(default_factory=dict[str, tuple[int, Any]])
    """For each field the kind and the test, where nothing else needs to be known; else OTHER and the field."""
    required: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Keys that must be there, each with its sibling, which will do as well."""
    choices: list[str] = field(default_factory=list[str])
    """Choice elements that must be there."""
    check: Check = lambda _owner, _faults: None


_SHAPES: dict[str, Shape] = {}


def shape_of(owner: str) -> Shape:
    """The shape of a type or of a backbone element (by its path), built with all it contains at first use."""
    if owner not in _SHAPES:
        built: dict[str, Shape] = {}
        _build(owner, built)
        # Only whole shapes are seen by other threads.
        _SHAPES.update(built)
    return _SHAPES[owner]


def resource_check(resource: Object, faults: Faults) -> None:
    """Check a resource of whatever type it says it is, with all that it contains."""
    outer, faults.local = faults.local, []
    count = len(faults)
    _typed_check(resource, faults)
    if faults.local:
        _check_local(resource, faults)
    if "contained" in resource and len(faults) == count:
        local = {owner["reference"] for owner, _ in faults.local}
        for text in of_contained(resource, local):
            faults.append(Fault(resource, "contained", None, "invariant", text))
    faults.local = outer


def _typed_check(resource: Object, faults: Faults) -> None:
    rtype = resource.get("resourceType")
    if type(rtype) is not str or rtype not in resource_types():
        faults.append(
            Fault(resource, "resourceType", None, "structure", "Expected the name of an R4 resource type.")
        )
        return
    shape_of(rtype).check(resource, faults)


def _check_local(resource: Object, faults: Faults) -> None:
    """The references `#id` lead to what the resource contains; `#` leads to the resource itself."""
    contained = resource.get("contained")
    # What is contained may be wrong itself: an id may be anything here, so it is compared, not hashed.
    inner = [one for one in contained if type(one) is dict] if type(contained) is list else []
    for owner, targets in faults.local:
        id_ = owner["reference"][1:]
        found = [one.get("resourceType") for one in inner if one.get("id") == id_]
        if id_ and not found:
            text = "Expected the id of a contained resource behind # (ref-1)."
            faults.append(Fault(owner, "reference", None, "invariant", text))
        elif found and found[0] not in (*targets, None):
            faults.append(Fault(owner, "reference", None, "value", _target_text(targets)))


def _build(owner: str, built: dict[str, Shape]) -> Shape:
    """Types contain themselves, so a shape stands in `built` with its check before its fields are filled."""
    shape = built[owner] = Shape()
    elements = facts().elements[owner].items()
    asked = invariants(owner) + rules(owner)
    # What stands beside a primitive (Element) may be no more than its id; a resource is no element.
    shape.check = _check(shape, elements, is_element=owner != "Element" and owner not in resource_types())
    if asked:
        shape.check = _check_with(asked, shape.check)
    for name, element in elements:
        bare = name.removesuffix("[x]")
        for child in children(owner, bare):
            _add(shape, owner, child, built, choice=bare if bare != name else "")
        if element.min and bare != name:
            shape.choices.append(bare)
        elif element.min:
            shape.required.append((name, f"_{name}"))
    if owner in resource_types():
        shape.fields["resourceType"] = Field(PRIMITIVE, test_of("code"), "", "resourceType", "", "")
    for key, found in shape.fields.items():
        is_plain = found.kind in {PRIMITIVE, COMPLEX} and not found.choice
        shape.tests[key] = (found.kind, found.test) if is_plain else (OTHER, found)
    return shape


def _add(shape: Shape, owner: str, child: Child, built: dict[str, Shape], *, choice: str) -> None:
    key, kind, element = child
    if kind in facts().primitives:
        test, text = _primitive(owner, key, kind, element)
        shape.fields[key] = Field(PRIMITIVES if element.many else PRIMITIVE, test, choice, key, text, "")
        check = _check_of("Element", built)
        shape.fields[f"_{key}"] = Field(
            SIBLINGS if element.many else SIBLING, check, choice, key, "", "Element"
        )
        return
    if kind == "Resource":
        check = _contained_check if key == "contained" else resource_check
    else:
        check = _bound(kind, element, _check_of(kind, built))
    text = f"Expected an object ({kind})."
    shape.fields[key] = Field(COMPLEXES if element.many else COMPLEX, check, choice, key, text, kind)


def _check_of(owner: str, built: dict[str, Shape]) -> Check:
    shape = _SHAPES.get(owner) or built.get(owner) or _build(owner, built)
    return shape.check


def _primitive(owner: str, key: str, kind: str, element: Element) -> tuple[Test, str]:
    """The test of a primitive element, and what is said of a value that fails it."""
    codes = facts().codes.get(element.required) if kind == "code" else None
    grammar = grammar_test(owner, key) if kind == "code" and codes is None else None
    if codes is None:
        return grammar or test_of(kind), f"Expected a value of type {kind}."
    allowed = frozenset(code for of_system in codes.values() for code in of_system)
    return code_test(allowed), f"Expected a code of the value set {element.required}."


def _check(shape: Shape, elements: Iterable[tuple[str, Element]], *, is_element: bool) -> Check:
    test_of_key, fields = shape.tests.get, shape.fields
    has_choices = any(name.endswith("[x]") for name, _ in elements)
    has_required = any(element.min for _, element in elements)

    def check(owner: Object, faults: Faults) -> None:
        chosen: dict[str, str] = {} if has_choices else _NONE_CHOSEN
        for key, value in owner.items():
            kind, test = test_of_key(key, _UNKNOWN)
            if kind == PRIMITIVE:
                if not test(value):
                    faults.append(_primitive_fault(owner, key, value, fields[key]))
            elif kind == COMPLEX and type(value) is dict and value:
                test(value, faults)
            elif kind == OTHER and test:
                _check_other(owner, key, test, chosen, faults)
            else:
                text = fields[key].text if kind == COMPLEX else "There is no such element here."
                faults.append(Fault(owner, key, None, "structure", text))
        if has_required:
            faults += _missing(owner, shape, chosen)
        if is_element and len(owner) == 1 and "id" in owner:
            faults.append(Fault(owner, "", None, "invariant", _ONLY_ID))

    return check


_ONLY_ID = "An element has a value or children beside its id (ele-1)."
_NONE_CHOSEN: dict[str, str] = {}
_UNKNOWN: tuple[int, Any] = (OTHER, None)


def _missing(owner: Object, shape: Shape, chosen: dict[str, str]) -> list[Fault]:
    missing = [key for key, sibling in shape.required if key not in owner and sibling not in owner]
    missing += [f"{choice}[x]" for choice in shape.choices if choice not in chosen]
    return [
        Fault(owner, key.removesuffix("[x]"), None, "required", f"The element {key} is required.")
        for key in missing
    ]


def _check_other(owner: Object, key: str, found: Field, chosen: dict[str, str], faults: Faults) -> None:
    """Lists, choices, and siblings of primitives."""
    kind, test, choice, base, text, _ = found
    value = owner[key]
    if choice and chosen.setdefault(choice, base) != base:
        faults.append(Fault(owner, key, None, "structure", f"Only one {choice}[x] may be given."))
    if kind == COMPLEXES and type(value) is list and value:
        for index, item in enumerate(value):
            if type(item) is dict and item:
                test(item, faults)
            else:
                faults.append(Fault(owner, key, index, "structure", text))
    elif kind == COMPLEX and type(value) is dict and value:
        test(value, faults)
    elif kind == PRIMITIVE:
        if not test(value):
            faults.append(_primitive_fault(owner, key, value, found))
    elif kind in {COMPLEX, COMPLEXES}:
        expected = text if kind == COMPLEX else "Expected an array with at least one item."
        faults.append(Fault(owner, key, None, "structure", expected))
    else:
        _check_primitives(owner, key, found, faults)


def _check_with(asked: list[Invariant], check: Check) -> Check:
    """Ask the invariants of an object that has no other fault."""

    def check_with_rules(owner: Object, faults: Faults) -> None:
        count = len(faults)
        check(owner, faults)
        if len(faults) > count:
            return
        for text, holds in asked:
            if not holds(owner):
                faults.append(Fault(owner, "", None, "invariant", text))

    return check_with_rules


def _check_primitives(owner: Object, key: str, found: Field, faults: Faults) -> None:
    """Lists of primitives and the siblings of primitives (`_given`), which hold id and extensions.

    In lists a null stands for what only the other list has (R4 json, "Representation of primitive elements").
    """
    value, is_single = owner[key], found.kind == SIBLING
    items: list[Any] = [value] if is_single else value
    if type(items) is not list or not items:
        faults.append(Fault(owner, key, None, "structure", "Expected an array with at least one item."))
        return
    twins = None if is_single else owner.get(found.base if key[0] == "_" else f"_{key}")
    if twins is not None and (type(twins) is not list or len(twins) != len(items)):
        faults.append(Fault(owner, key, None, "structure", "The arrays with and without _ differ in length."))
        return
    for index, item in enumerate(items):
        where = None if is_single else index
        if item is None and twins is not None and twins[index] is not None:
            continue
        if found.kind == PRIMITIVES:
            if not found.test(item):
                faults.append(Fault(owner, key, where, "value", found.text))
        elif type(item) is dict and item:
            found.test(item, faults)
            alone = found.base not in owner if is_single else twins is None or twins[index] is None
            if alone and "extension" not in item:
                faults.append(Fault(owner, key, where, "invariant", _ONLY_ID))
        else:
            faults.append(Fault(owner, key, where, "structure", "Expected an object with id or extension."))


def _primitive_fault(owner: Object, key: str, value: Any, found: Field) -> Fault:
    if type(value) in {dict, list} or value is None:
        return Fault(owner, key, None, "structure", f"{found.text[:-1]}, not an object, an array or null.")
    return Fault(owner, key, None, "code-invalid" if "value set" in found.text else "value", found.text)


def _contained_check(owner: Object, faults: Faults) -> None:
    _typed_check(owner, faults)
    if "contained" in owner:
        text = "A contained resource contains none itself (dom-2)."
        faults.append(Fault(owner, "contained", None, "invariant", text))


def _bound(kind: str, element: Element, check: Check) -> Check:
    """Add what the element asks of its content beyond the type: targets of a reference, codes of a binding."""
    if kind == "Reference":
        return _reference_check(frozenset(element.targets) or resource_types(), check)
    if kind == "CodeableConcept" and element.required:
        return _concept_check(element.required, check)
    return check


# The type in `Patient/7`, `Patient/7/_history/1`, `https://a.example/fhir/Patient/7`, `Patient?identifier=7`.
_TYPED_ADDRESS = re.compile(r"(?:[^?]*/)?([A-Z]\w+)(?:/[A-Za-z0-9.-]{1,64}(?:/_history/.*)?|\?.*)")


def _reference_check(targets: frozenset[str], check: Check) -> Check:
    is_string = test_of("string")

    def check_reference(owner: Object, faults: Faults) -> None:
        address = owner.get("reference")
        is_local = type(address) is str and address.partition("/")[0] in targets
        if is_local and len(owner) == 1 and is_string(address):
            return
        check(owner, faults)
        if not is_local and type(address) is str:
            if address[:1] == "#":
                faults.local.append((owner, targets))
            elif text := _address_fault(address, targets):
                faults.append(Fault(owner, "reference", None, "value", text))
        named = owner.get("type")
        if type(named) is str and named not in targets and named in resource_types():
            faults.append(Fault(owner, "type", None, "value", _target_text(targets)))

    return check_reference


def _address_fault(address: str, targets: frozenset[str]) -> str:
    found = _TYPED_ADDRESS.fullmatch(address)
    if found is not None and found[1] in resource_types():
        return "" if found[1] in targets else _target_text(targets)
    is_elsewhere = address.startswith("#") or ":" in address
    return "" if is_elsewhere else "Expected Type/id, an absolute address or #id."


def _target_text(targets: frozenset[str]) -> str:
    return f"Expected a reference to {' or '.join(sorted(targets))}."


def _concept_check(value_set: str, check: Check) -> Check:
    allowed = {(system, code) for system, codes in facts().codes[value_set].items() for code in codes}

    def check_concept(owner: Object, faults: Faults) -> None:
        count = len(faults)
        check(owner, faults)
        if len(faults) > count:
            return
        if not any(
            (coding.get("system"), coding.get("code")) in allowed for coding in owner.get("coding", ())
        ):
            text = f"Expected a coding of the value set {value_set}."
            faults.append(Fault(owner, "coding", None, "code-invalid", text))

    return check_concept
