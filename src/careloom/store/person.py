"""store.person: who else is this patient: the Patients that one derived Person links.

Room: store. May import: store.read, fhir. Standard: https://hl7.org/fhir/R4/person.html

Source Patients are never merged; what is asked about a person is asked about all Patients that its Person links.
"""

from __future__ import annotations

from dataclasses import dataclass

from careloom.fhir.resource import reference_to
from careloom.store.read import Reader


@dataclass(frozen=True, slots=True)
class Linked:
    """One person: `key` is what derived ids are made of, `patients` are references, the reference patient first."""

    key: str
    patients: tuple[str, ...]


def linked(read: Reader, patient: str) -> Linked:
    """The person behind a Patient reference; a Patient that no Person links yet stands for itself."""
    persons = sorted(read.find("Person", ("link", patient)), key=reference_to)
    active = [person for person in persons if person.get("active", True)]
    if not active:
        return Linked(patient, (patient,))
    targets = [str(link["target"]["reference"]) for link in active[0].get("link", ()) if "target" in link]
    patients = [target for target in targets if target.startswith("Patient/")]
    return Linked(reference_to(active[0]), tuple(dict.fromkeys(patients)))
