"""unify.identity.golden: one view of a person over the source Patients: what is shown, who says so, who disagrees.

Room: unify. May import: normalise, record, fhir. The Patients stay as their sources sent them. The view is a pure
function of them: the same whichever came first. Standard: https://hl7.org/fhir/R4/person.html
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from careloom.fhir.resource import Resource, dumps, reference_to
from careloom.unify.identity.normalise import Birth, birth, words
from careloom.unify.identity.record import record

_PREVIOUS = frozenset({"maiden", "old"})


@dataclass(frozen=True, slots=True)
class Told:
    """A value, and the references of the Patients that state it."""

    value: Any
    """As FHIR has it: a string, a HumanName, an Identifier, a ContactPoint or an Address."""
    by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Conflict:
    """An element on which the Patients disagree, the shown value first."""

    element: str
    values: tuple[Told, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonView:
    """What a banner shows of a person."""

    id: str
    name: Mapping[str, Any]
    """The HumanName that is shown; empty if none is known."""
    names: tuple[Told, ...]
    """All names, the shown one first, former ones last."""
    birth_date: str
    sex: str
    deceased: str
    """A dateTime, `true`, or nothing. Who is dead in one source is not alive for the others."""
    identifiers: tuple[Told, ...]
    telecoms: tuple[Told, ...]
    addresses: tuple[Told, ...]
    conflicts: tuple[Conflict, ...]


def person_view(person: Resource, patients: Sequence[Resource], trust: Sequence[str] = ()) -> PersonView:
    """The view of a Person over the Patients that it links.

    A single value (birth date, sex) is the one that most Patients state; where as many state another, the source
    that stands first in `trust` (names of sources) decides, then the value itself, so that it never flickers.
    """
    members = sorted(patients, key=lambda patient: (_rank(patient, trust), str(patient["id"])))
    births = _by_votes(members, lambda patient: patient.get("birthDate"), weight=_weight_of_date)
    sexes = _by_votes(members, lambda patient: patient.get("gender"), weight=lambda value: value != "unknown")
    names = _names(members)
    return PersonView(
        id=str(person["id"]),
        name=names[0].value if names else {},
        names=names,
        birth_date=births[0].value if births else "",
        sex=sexes[0].value if sexes else "",
        deceased=_deceased(members),
        identifiers=_all(members, "identifier"),
        telecoms=_all(members, "telecom"),
        addresses=_all(members, "address"),
        conflicts=tuple(_conflicts(births, sexes, names)),
    )


def _rank(patient: Resource, trust: Sequence[str]) -> int:
    source = str(patient.get("meta", {}).get("source", "")).rpartition(":")[2]
    return list(trust).index(source) if source in trust else len(trust)


def _by_votes(
    members: Sequence[Resource], value_of: Callable[[Resource], Any], weight: Callable[[str], float]
) -> tuple[Told, ...]:
    """The values of an element, the most stated first; members come in the order of trust."""
    tellers: dict[str, list[str]] = {}
    for member in members:
        if value := value_of(member):
            tellers.setdefault(str(value), []).append(reference_to(member))
    ranks = {reference_to(member): rank for rank, member in enumerate(members)}
    order = sorted(
        tellers,
        key=lambda value: (
            -weight(value),
            -len(tellers[value]),
            min(ranks[teller] for teller in tellers[value]),
        ),
    )
    return tuple(Told(value, tuple(tellers[value])) for value in order)


def _weight_of_date(value: str) -> float:
    """A full date outweighs 1 January, which often means that only the year is known; both outweigh a year."""
    parsed: Birth | None = birth(value)
    if parsed is None:
        return 0
    return 1 if not parsed.is_full else 2 if parsed.is_january_first else 3


def _names(members: Sequence[Resource]) -> tuple[Told, ...]:
    """All names once. Current ones first: of the family name that most state, then the most complete."""
    tellers: dict[bytes, list[str]] = {}
    values: dict[bytes, Mapping[str, Any]] = {}
    for member in members:
        for name in member.get("name", []):
            plain = {
                key: value
                for key, value in name.items()
                if key in {"use", "family", "given", "suffix", "text", "prefix"}
            }
            key = dumps({"n": _spelling(plain), "former": _is_former(plain)})
            values.setdefault(key, plain)
            if reference_to(member) not in tellers.setdefault(key, []):
                tellers[key].append(reference_to(member))
    former = {_family(name) for name in values.values() if _is_former(name)}
    votes = Counter(
        _family(name) for member in members for name in member.get("name", []) if not _is_former(name)
    )

    def order(key: bytes) -> tuple[bool, bool, int, int, bytes]:
        name = values[key]
        is_outdated = _family(name) in former and len(votes) > 1
        complete = sum(len(word) > 1 for word in words(" ".join(name.get("given", []))))
        return (_is_former(name), is_outdated or not _is_name(name), -votes[_family(name)], -complete, key)

    return tuple(Told(values[key], tuple(tellers[key])) for key in sorted(values, key=order))


def _spelling(name: Mapping[str, Any]) -> list[str]:
    return words(" ".join([*name.get("given", []), "/", str(name.get("family", name.get("text", "")))]))


def _family(name: Mapping[str, Any]) -> str:
    return "".join(words(str(name.get("family", ""))))


def _is_former(name: Mapping[str, Any]) -> bool:
    return name.get("use") in _PREVIOUS


def _is_name(name: Mapping[str, Any]) -> bool:
    """False for placeholders such as Baby Boy."""
    return bool(record({"resourceType": "Patient", "id": "-", "name": [dict(name)]}).names)


def _deceased(members: Sequence[Resource]) -> str:
    times = sorted(str(member["deceasedDateTime"]) for member in members if member.get("deceasedDateTime"))
    if times:
        return times[0]
    return "true" if any(member.get("deceasedBoolean") for member in members) else ""


def _all(members: Sequence[Resource], element: str) -> tuple[Told, ...]:
    tellers: dict[bytes, list[str]] = {}
    values: dict[bytes, Any] = {}
    for member in members:
        for value in member.get(element, []):
            key = dumps([value.get("system"), value["value"]] if "value" in value else value)
            values.setdefault(key, value)
            if reference_to(member) not in tellers.setdefault(key, []):
                tellers[key].append(reference_to(member))
    return tuple(Told(values[key], tuple(tellers[key])) for key in values)


def _conflicts(
    births: tuple[Told, ...], sexes: tuple[Told, ...], names: tuple[Told, ...]
) -> Iterator[Conflict]:
    if len(births) > 1:
        yield Conflict("birthDate", births)
    said = tuple(told for told in sexes if told.value != "unknown")
    if len(said) > 1:
        yield Conflict("gender", said)
    families: dict[str, Told] = {}
    for told in names:
        if _family(told.value) and not _is_former(told.value):
            known = families.get(_family(told.value))
            families[_family(told.value)] = Told(
                known.value if known else told.value["family"], (*(known.by if known else ()), *told.by)
            )
    if len(families) > 1:
        yield Conflict("name.family", tuple(families.values()))
