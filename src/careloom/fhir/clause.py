"""fhir.clause: what one parameter of a search demands, from its name and text to a tree that a store can answer.

Room: fhir. May import: fhir.catalogue, fhir.queryvalue, fhir.searchparam, fhir.facts, fhir.outcome.
Standard: https://hl7.org/fhir/R4/search.html#chaining
"""

from __future__ import annotations

from dataclasses import dataclass

from careloom.fhir.catalogue import known
from careloom.fhir.facts import facts, resource_types
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.queryvalue import FULL_TEXT, Reference, Token, Value, refused, split, unescaped, values
from careloom.fhir.searchparam import SearchParameter, parameters

MAX_CHAIN = 4
"""How many references one parameter may follow."""
MAX_NAME = 64
"""Characters of a name that an error repeats."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """One parameter, its modifier ("" where none) and its values, any of which may match."""

    parameter: SearchParameter
    modifier: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """The resource that `parameter` refers to meets a clause; one branch for each type that it may be of."""

    parameter: SearchParameter
    branches: tuple[tuple[str, Clause], ...]


@dataclass(frozen=True, slots=True)
class Has:
    """Some resource of `rtype` refers back by `parameter` and meets the clause (_has)."""

    rtype: str
    parameter: SearchParameter
    clause: Clause


@dataclass(frozen=True, slots=True)
class Junction:
    """All of the clauses hold, or any of them."""

    is_all: bool
    clauses: tuple[Clause, ...]


@dataclass(frozen=True, slots=True)
class Negation:
    """The clause does not hold."""

    clause: Clause


@dataclass(frozen=True, slots=True)
class Listed:
    """The resource is an item of one of these Lists (_list)."""

    lists: tuple[str, ...]


Clause = Criterion | Chain | Has | Junction | Negation | Listed


def clause_of(rtype: str, name: str, text: str, base: str = "", depth: int = 0) -> Clause:
    """What a parameter demands of resources of a type; `base` is this server's address, below which all is local.

    Raises OutcomeError that names the parameter: not-supported, value, too-costly (a chain that is too long).
    """
    if depth > MAX_CHAIN:
        raise OutcomeError(Issue("too-costly", f"A search may follow {MAX_CHAIN} references and no more."))
    head, dot, rest = name.partition(".")
    code, colon, modifier = head.partition(":")
    if code == "_has":
        return _has(name, text, base, depth)
    if code == "_list":
        if dot or colon:
            raise OutcomeError(Issue("not-supported", "_list takes neither a modifier nor a chain.", "_list"))
        return _listed(rtype, text)
    parameter = parameter_of(rtype, code)
    if dot:
        return Chain(parameter, _branches(parameter, modifier, rest, (text, base, depth + 1)))
    return Criterion(parameter, modifier, values(parameter, modifier, text, base))


def is_known(rtype: str, name: str) -> bool:
    """Whether a type can be searched by this parameter, chained or not."""
    code = name.partition(".")[0].partition(":")[0]
    if code in {"_has", "_list"}:
        return True
    parameter = parameters(rtype).get(code)
    if parameter is None:
        return False
    return parameter.is_indexed or parameter.type in {"composite", "special"} or code in FULL_TEXT


def unknown(rtype: str, name: str, *, is_empty: bool = False) -> OutcomeError:
    """The error for a parameter that is not understood, or says nothing."""
    short = name[:MAX_NAME]
    if not is_empty and is_building(rtype, name):
        return OutcomeError(Issue("incomplete", f"{building(short)} Ask again later.", short))
    wrong = "has no value" if is_empty else f"is not known for {rtype}"
    return OutcomeError(Issue("not-supported", f"The search parameter {short} {wrong}.", short))


def is_building(rtype: str, name: str) -> bool:
    """Whether this parameter is known, and resources are still being indexed by it."""
    return name.partition(".")[0].partition(":")[0] in known().building.get(rtype, ())


def building(name: str) -> str:
    """What is said of it."""
    return (
        f"The search parameter {name} is not in use yet: resources are still being indexed by it"
        " (see SearchParameter/$reindex-status)."
    )


def parameter_of(rtype: str, code: str) -> SearchParameter:
    """The parameter of a type. Raises OutcomeError(not-supported)."""
    found = parameters(rtype).get(code)
    if found is None or not is_known(rtype, code):
        raise unknown(rtype, code)
    return found


def in_compartment(rtype: str, compartment: str, id_: str) -> Clause:
    """The resource of this type belongs to a compartment: some parameter of its definition refers to it.

    Raises OutcomeError(not-supported) for a type that the compartment does not hold.
    https://hl7.org/fhir/R4/compartmentdefinition.html
    """
    definition = facts().compartments.get(compartment)
    if definition is None:
        raise OutcomeError(Issue("not-supported", f"R4 defines no compartment of {compartment[:MAX_NAME]}."))
    reference = Reference((f"{compartment}/{id_}",))
    clauses: list[Clause] = [
        Criterion(parameters(rtype)[code], "", (reference,))
        for code in definition.get(rtype, ())
        # The definition of a compartment says {def} of its own type.
        if code in parameters(rtype)
    ]
    if rtype == compartment:
        clauses.append(Criterion(parameters(rtype)["_id"], "", (Token(None, id_),)))
    if not clauses:
        text = f"A {rtype} belongs to no compartment of a {compartment}."
        raise OutcomeError(Issue("not-supported", text))
    return clauses[0] if len(clauses) == 1 else Junction(is_all=False, clauses=tuple(clauses))


def _branches(
    parameter: SearchParameter, modifier: str, rest: str, ends: tuple[str, str, int]
) -> tuple[tuple[str, Clause], ...]:
    code = parameter.code
    if parameter.type != "reference":
        raise refused(code, "only a reference can be followed by a dot.")
    targets = parameter.targets or tuple(sorted(resource_types()))
    if modifier and modifier not in targets:
        text = f"After {code}: a type that it refers to must stand."
        raise OutcomeError(Issue("not-supported", text, code))
    types = (modifier,) if modifier else targets
    branches: list[tuple[str, Clause]] = []
    # Of several types that a reference may lead to, some do not know how the rest goes on.
    failed = unknown(" or ".join(types[:4]), rest)
    for one in filter(lambda one: _leads_on(one, rest), types):
        try:
            branches.append((one, clause_of(one, rest, *ends)))
        except OutcomeError as error:
            if error.issues[0].code != "not-supported":
                raise
            failed = error
    if not branches:
        raise failed
    return tuple(branches)


def _leads_on(rtype: str, name: str) -> bool:
    """Whether this type knows the next name of a chain, as a reference where the chain goes on beyond it."""
    if not is_known(rtype, name):
        return False
    head, dot, _ = name.partition(".")
    code = head.partition(":")[0]
    return code == "_has" or not dot or (code != "_list" and parameters(rtype)[code].type == "reference")


def _has(name: str, text: str, base: str, depth: int) -> Has:
    parts = name.split(":", 3)
    if len(parts) != 4:  # noqa: PLR2004 _has, type, reference, parameter
        raise refused("_has", "write _has:Type:reference:parameter.")
    _, rtype, code, rest = parts
    parameter = parameter_of(rtype, code)
    if parameter.type != "reference":
        raise refused("_has", f"{code[:MAX_NAME]} of {rtype} is no reference.")
    return Has(rtype, parameter, clause_of(rtype, rest, text, base, depth + 1))


_NO_ERROR = ("verification-status:not", "entered-in-error,refuted")
_ALLERGIES = (("clinical-status", "active"), _NO_ERROR)
_CURRENT: dict[str, dict[str, tuple[tuple[str, str], ...]]] = {
    "$current-problems": {"Condition": (("clinical-status", "active,recurrence,relapse"), _NO_ERROR)},
    "$current-allergies": {"AllergyIntolerance": _ALLERGIES},
    "$current-drug-allergies": {"AllergyIntolerance": (*_ALLERGIES, ("category", "medication"))},
    "$current-medications": {
        "MedicationRequest": (("status", "active"),),
        "MedicationStatement": (("status", "active"),),
    },
}
"""Lists that nobody keeps: what is on them is asked of the resources themselves (R4 lifecycle, "Current Resources").

So an empty answer says that there is none, and not that nobody has written the list.
"""


def _listed(rtype: str, text: str) -> Clause:
    names = [unescaped(one).removeprefix("List/") for one in split(text, ",") if one]
    kept = tuple(one for one in names if not one.startswith("$"))
    clauses: list[Clause] = [_current(rtype, one) for one in names if one.startswith("$")]
    if kept or not clauses:
        clauses.append(Listed(kept))
    return clauses[0] if len(clauses) == 1 else Junction(is_all=False, clauses=tuple(clauses))


def _current(rtype: str, name: str) -> Clause:
    pairs = _CURRENT.get(name, {}).get(rtype)
    if pairs is None:
        known = ", ".join(f"{one} ({' or '.join(types)})" for one, types in _CURRENT.items())
        raise OutcomeError(Issue("not-supported", f"The lists without an id are {known}.", "_list"))
    return Junction(is_all=True, clauses=tuple(clause_of(rtype, *pair) for pair in pairs))
