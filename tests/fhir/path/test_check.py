"""Static checks: every expression that R4 publishes passes them, and what cannot be meant does not."""

from __future__ import annotations

import pytest

from careloom.fhir.facts import facts
from careloom.fhir.outcome import OutcomeError
from careloom.fhir.path import compile  # noqa: A004 - as re.compile


@pytest.mark.parametrize("base", facts().search)
def test_every_search_parameter_of_r4_is_sound(base: str) -> None:
    for parameter in facts().search[base].values():
        if parameter.expression:
            compile(parameter.expression, of=base)


@pytest.mark.parametrize(
    ("of", "expression"),
    [
        ("Patient", "Resource.id | DomainResource.text.status | name.given"),
        ("Resource", "Patient.name.given"),
        ("Patient", "contained.name.anything"),
        ("Patient", "link.other.resolve().name.anything"),
        ("Patient", "(managingOrganization.resolve() as Organization).address.city"),
        ("Patient", "descendants().code"),
        (
            "Patient",
            "name.where(use = 'official').first().given[0].extension('x').value.coding.code.exists()",
        ),
        ("Patient", "name.select(given | family).length() > 3"),
        ("Observation", "value.unit | value.coding.code | component.value.ofType(Quantity).unit"),
        ("Observation", "(value as Quantity).value > 3"),
        ("Questionnaire", "repeat(item).linkId.isDistinct() and item.item.item.text.exists()"),
        ("Timing.repeat", "count.exists() implies countMax >= count"),
        ("Bundle", "entry.resource.ofType(Patient).name.family | entry.resource.as(Patient).name.family"),
        ("Patient", "iif(active, name, contact.name).family"),
        ("Patient", "%resource.anything | %context.name.given | (4 'g').value"),
    ],
)
def test_what_may_be_meant_passes(of: str, expression: str) -> None:
    compile(expression, of=of)


@pytest.mark.parametrize(
    ("of", "expression", "place"),
    [
        ("Patient", "name.given1", 6),
        ("Patient", "Encounter.status", 1),
        ("Observation", "valueQuantity.unit", 1),
        ("Observation", "(value as Period).unit", 19),
        ("Observation", "value.ofType(Period).unit", 22),
        ("Patient", "name.where(nothing = 'x')", 12),
        ("Patient", "name.select(given | nothing)", 21),
        ("Patient", "iif(active, name, contact).nothing", 28),
        ("Patient", "contact.first().birthDate", 17),
        ("Patient", "children().first()", 12),
        ("Patient", "'a'.given", 5),
        ("Patient", "%context.nothing", 10),
        ("Patient.contact", "birthDate", 1),
    ],
)
def test_what_cannot_be_there_is_refused_with_its_place(of: str, expression: str, place: int) -> None:
    with pytest.raises(OutcomeError, match=f"character {place}\\)"):
        compile(expression, of=of)
    compile(expression)
