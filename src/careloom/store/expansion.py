"""store.expansion: what stands in the store and must be read before a search can be asked: value sets, hierarchies, lists.

Room: store. Touches: the table res. Standard: https://hl7.org/fhir/R4/search.html#modifiers
"""

from __future__ import annotations

from dataclasses import replace

from careloom.fhir.clause import Criterion
from careloom.fhir.matching import keys
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.queryvalue import Reference, Token, Uri, Value
from careloom.fhir.resource import Resource
from careloom.fhir.searchelement import elements
from careloom.fhir.searchparam import SearchParameter, parameters
from careloom.store.actor import STATION, Actor
from careloom.store.condition import Condition, all_of, equals, overlaps
from careloom.store.current import current
from careloom.store.hashes import hash64, salt, uri_entry
from careloom.store.look import Look
from careloom.store.resource_type import RESOURCE_TYPES, number_of
from careloom.store.stored import Stored
from careloom.store.terminology import Coding, above, below, codes_of

PART_OF = ("partof", "part-of")
"""Names of the parameters that make a hierarchy of resources."""
MAX_LEVELS = 50


def expanded(look: Look, criterion: Criterion) -> Criterion:
    """The criterion with :in, :not-in, :above and :below spelt out; raises OutcomeError for what is not known."""
    parameter, modifier = criterion.parameter, criterion.modifier
    if modifier not in {"in", "not-in", "above", "below"} or parameter.type not in {"token", "reference"}:
        return criterion
    if parameter.type == "reference":
        return replace(criterion, modifier="", values=_hierarchy(look, parameter, modifier, criterion.values))
    codings: set[Coding] = set()
    for value in criterion.values:
        if isinstance(value, Uri):
            codings |= codes_of(lambda rtype, name: _definition(look, rtype, name), value.uri)
        elif isinstance(value, Token):
            codings |= _subsumed(look, parameter, modifier, value)
    tokens = tuple(
        Token(None if system == parameter.system else system, code) for system, code in sorted(codings)
    )
    return replace(criterion, modifier="not" if modifier == "not-in" else "", values=tokens)


def listed(look: Look, lists: tuple[str, ...]) -> set[int]:
    """Keys of all that these Lists hold, as far as the actor may see the Lists; what was struck off does not count."""
    found: set[int] = set()
    for stored in _by_keys(look, look.actor, [hash64(f"List/{one}") for one in lists]):
        for entry in stored.resource().get("entry", ()):
            reference = entry.get("item", {}).get("reference", "")
            if not entry.get("deleted") and reference:
                found.add(hash64(reference.partition("/_history/")[0]))
    return found


def _subsumed(look: Look, parameter: SearchParameter, modifier: str, token: Token) -> set[Coding]:
    system = token.system or parameter.system
    if not system or not token.code:
        text = f":{modifier} of {parameter.code} takes system|code."
        raise OutcomeError(Issue("value", text, parameter.code))
    under = below if modifier == "below" else above
    return under(lambda rtype, name: _definition(look, rtype, name), system, token.code)


def _definition(look: Look, rtype: str, name: str) -> Resource | None:
    """The ValueSet or CodeSystem of this url (of several versions the newest) or, `ValueSet/id`, of this id."""
    bare, bar, version = name.partition("|")
    if bare.startswith(f"{rtype}/"):
        found = _by_keys(look, STATION, [hash64(bare)])
    else:
        entry = uri_entry(parameters(rtype)["url"].id, bare)
        found = _where(look, STATION, rtype, overlaps("r.ix", [entry]))
    resources = [stored.resource() for stored in sorted(found, key=lambda stored: stored.last_updated)]
    resources = [one for one in resources if not bar or one.get("version") == version]
    return resources[-1] if resources else None


def _hierarchy(
    look: Look, parameter: SearchParameter, modifier: str, values: tuple[Value, ...]
) -> tuple[Value, ...]:
    """References to the resources named and to all below (parts of them) or above."""
    names = {name for value in values if isinstance(value, Reference) for name in value.keys}
    found, fresh = set(names), names
    for _ in range(MAX_LEVELS):
        nearby = _parts(look, fresh) if modifier == "below" else _wholes(look, fresh)
        fresh = nearby - found
        if not fresh:
            return (Reference(tuple(sorted(found))),)
        found |= fresh
    text = f"The hierarchy of {parameter.code} is deeper than {MAX_LEVELS} levels."
    raise OutcomeError(Issue("too-costly", text, parameter.code))


def _parts(look: Look, names: set[str]) -> set[str]:
    found: set[str] = set()
    for rtype in {name.partition("/")[0] for name in names}:
        parameter = _part_of(rtype)
        if parameter is not None:
            entries = [hash64(name) ^ salt(parameter.id) for name in names]
            rows = _where(look, look.actor, rtype, overlaps("r.ix", entries))
            found |= {f"{rtype}/{stored.id}" for stored in rows}
    return found


def _wholes(look: Look, names: set[str]) -> set[str]:
    found: set[str] = set()
    for stored in _by_keys(look, look.actor, [hash64(name) for name in names]):
        parameter = _part_of(stored.rtype)
        if parameter is not None:
            for element in elements(stored.resource(), parameter):
                found |= keys(element)
    return found


def _part_of(rtype: str) -> SearchParameter | None:
    known = parameters(rtype) if rtype in RESOURCE_TYPES else {}
    return next((known[code] for code in PART_OF if code in known), None)


def _by_keys(look: Look, actor: Actor, names: list[int]) -> list[Stored]:
    return current(look.connection, actor, equals("r.key", names))


def _where(look: Look, actor: Actor, rtype: str, condition: Condition) -> list[Stored]:
    of_type = Condition("r.rtype = %s", (number_of(rtype),))
    return current(look.connection, actor, all_of([of_type, condition]))
