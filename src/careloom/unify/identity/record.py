"""unify.identity.record: what a Patient says about who it is, in one spelling.

Room: unify. May import: normalise, fhir. Standard: https://hl7.org/fhir/R4/patient.html

A Record holds demographics: it stays in memory, and never stands in a log.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from careloom.fhir.resource import Resource
from careloom.unify.identity import normalise
from careloom.unify.identity.normalise import Address, Birth, Name

Identifiers = frozenset[tuple[str, str]]
"""(system, value) pairs."""

_ID_TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"
_SSN = "http://hl7.org/fhir/sid/us-ssn"
_NATIONAL_SYSTEMS = {
    _SSN: _SSN,
    "urn:oid:2.16.840.1.113883.4.1": _SSN,
    "http://hl7.org/fhir/sid/us-mbi": "http://hl7.org/fhir/sid/us-mbi",
    "https://fhir.nhs.uk/Id/nhs-number": "https://fhir.nhs.uk/Id/nhs-number",
    "urn:oid:2.16.840.1.113883.2.1.4.1": "https://fhir.nhs.uk/Id/nhs-number",
    "http://ns.electronichealth.net.au/id/hi/ihi/1.0": "http://ns.electronichealth.net.au/id/hi/ihi/1.0",
}
"""Systems that give a person one number for life; the same scheme has several names."""
_NATIONAL_TYPES = frozenset({"NI", "SB", "JHN"})
_ISSUED_TYPES = frozenset({"", "MR", "PI", "PT", "U", "RI", "MRT", "SR"})
# Numbers of a visit or an account say nothing about the person.
_PASSING_TYPES = frozenset({"AN", "VN", "ACSN", "FILL", "PLAC", "BR", "ANON", "TN"})


@dataclass(frozen=True, slots=True)
class Record:
    """The demographics of one Patient, normalised."""

    id: str
    """`Patient.id`."""
    is_live: bool = True
    """False when its own system has put it out of use, or merged it into another."""
    names: tuple[Name, ...] = ()
    birth: Birth | None = None
    sex: str = ""
    """female, male, or nothing."""
    is_multiple: bool = False
    """A twin or triplet says so."""
    national: Identifiers = frozenset()
    issued: Identifiers = frozenset()
    """Numbers that one issuer gives a person once: medical record numbers."""
    other: Identifiers = frozenset()
    """Passport, driving licence, insurance: may change, or be shared in a family."""
    phones: frozenset[str] = frozenset()
    emails: frozenset[str] = frozenset()
    addresses: frozenset[Address] = frozenset()
    merged_with: frozenset[str] = field(default=frozenset())
    """Ids of Patients that its own system merged it with (`replaced-by`, `replaces`)."""

    @property
    def given(self) -> str:
        """The first given name of the name in use, or nothing."""
        return next((name.given[0] for name in self.names if name.given), "")

    @property
    def suffixes(self) -> frozenset[str]:
        """Generation suffixes of all its names."""
        return frozenset(name.suffix for name in self.names if name.suffix)


def record(patient: Resource) -> Record:
    """The Record of a Patient resource.

    >>> record({"resourceType": "Patient", "id": "7", "name": [{"family": "Lee", "given": ["Ann"]}]}).given
    'ann'
    """
    national, issued, other = _identifiers(patient)
    merged = frozenset(
        str(link.get("other", {}).get("reference", "")).rpartition("/")[2]
        for link in patient.get("link", [])
        if link.get("type") in {"replaced-by", "replaces"}
    )
    is_replaced = any(link.get("type") == "replaced-by" for link in patient.get("link", []))
    telecoms = [telecom for telecom in patient.get("telecom", []) if telecom.get("value")]
    sex = str(patient.get("gender", ""))
    multiple = patient.get("multipleBirthInteger", patient.get("multipleBirthBoolean", False))
    return Record(
        id=str(patient["id"]),
        is_live=patient.get("active", True) is not False and not is_replaced,
        names=_names(patient),
        birth=normalise.birth(str(patient.get("birthDate", ""))),
        sex=sex if sex in {"female", "male"} else "",
        is_multiple=bool(multiple),
        national=national,
        issued=issued,
        other=other,
        phones=_telecoms(telecoms, "phone"),
        emails=_telecoms(telecoms, "email"),
        addresses=_addresses(patient),
        merged_with=merged - {"", str(patient["id"])},
    )


def _names(patient: Resource) -> tuple[Name, ...]:
    found: list[Name] = []
    for human_name in patient.get("name", []):
        is_previous = human_name.get("use") in {"maiden", "old"} or "end" in human_name.get("period", {})
        given, family = list(human_name.get("given", [])), str(human_name.get("family", ""))
        if not given and not family:
            given, family = _from_text(str(human_name.get("text", "")))
        name = normalise.name(given, family, list(human_name.get("suffix", [])), is_previous=is_previous)
        if name is not None and name not in found:
            found.append(name)
    return tuple(sorted(found, key=lambda name: name.is_previous))


def _from_text(text: str) -> tuple[list[str], str]:
    family, comma, given = text.partition(",")
    if comma:
        return [given], family
    *given_words, last = text.split() or [""]
    return given_words, last


def _identifiers(patient: Resource) -> tuple[Identifiers, Identifiers, Identifiers]:
    national: set[tuple[str, str]] = set()
    issued: set[tuple[str, str]] = set()
    other: set[tuple[str, str]] = set()
    for identifier in patient.get("identifier", []):
        value = normalise.identifier(str(identifier.get("value", "")))
        system, code = str(identifier.get("system", "")), _type_code(identifier)
        if not value or code in _PASSING_TYPES or identifier.get("use") == "temp":
            continue
        if code == "SS" or system in _NATIONAL_SYSTEMS:
            national.add((_NATIONAL_SYSTEMS.get(system, _SSN), value))
        elif code in _NATIONAL_TYPES:
            national.add((system, value))
        elif system and code in _ISSUED_TYPES:
            issued.add((system, value))
        elif system:
            other.add((system, value))
    return frozenset(national), frozenset(issued), frozenset(other)


def _type_code(identifier: dict[str, Any]) -> str:
    codings = identifier.get("type", {}).get("coding", [])
    codes = [
        str(coding.get("code", "")) for coding in codings if coding.get("system", _ID_TYPES) == _ID_TYPES
    ]
    return codes[0] if codes else ""


def _telecoms(telecoms: list[dict[str, Any]], system: str) -> frozenset[str]:
    normal = normalise.phone if system == "phone" else normalise.email
    # HL7 v2 senders often leave the equipment type out; an address with an @ is e-mail all the same.
    said = {
        normal(str(telecom["value"]))
        for telecom in telecoms
        if telecom.get("system", "email" if "@" in str(telecom["value"]) else "phone") in {system, "sms"}
    }
    return frozenset(said - {""})


def _addresses(patient: Resource) -> frozenset[Address]:
    made = (
        normalise.address(
            [str(line) for line in address.get("line", [])],
            str(address.get("postalCode", "")),
            str(address.get("city", "")),
        )
        for address in patient.get("address", [])
    )
    return frozenset(address for address in made if address is not None)
