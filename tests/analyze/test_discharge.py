"""The LACE station, on a real database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from careloom.fhir.resource import Resource
from careloom.fhir.validate import validate
from careloom.store.score import LACE, reading

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
V2_0007 = "http://terminology.hl7.org/CodeSystem/v2-0007"


def encounter(id_: str, kind: str, start: str, end: str, of: str = "ehr", **more: Any) -> Resource:
    return {
        "resourceType": "Encounter",
        "id": id_,
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": kind},
        "subject": {"reference": f"Patient/{of}"},
        "period": {"start": start, "end": end},
    } | more


def condition(code: str, of: str = "ehr", **more: Any) -> Resource:
    return {
        "resourceType": "Condition",
        "id": f"c-{of}-{code.replace('.', '-')}",
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": code}]},
        "subject": {"reference": f"Patient/{of}"},
    } | more


STAY = encounter("stay", "IMP", "2026-03-02T21:00:00+01:00", "2026-03-10T10:00:00+01:00")
ELECTIVE = {"type": [{"coding": [{"system": V2_0007, "code": "C"}]}]}
PEOPLE = (
    {"resourceType": "Patient", "id": "ehr"},
    {"resourceType": "Patient", "id": "gp"},
    {
        "resourceType": "Person",
        "id": "p",
        "link": [{"target": {"reference": "Patient/ehr"}}, {"target": {"reference": "Patient/gp"}}],
    },
)


def scored(rooms: Any, *resources: Resource) -> Any:
    rooms.say(NOW, *PEOPLE, *resources)
    made = rooms.run(NOW, "lace")
    return reading(made[0]) if made else None


def test_a_stay_is_scored_from_the_records_of_all_systems(rooms: Any):
    led_here = encounter("ed0", "EMER", "2026-03-02T15:00:00+01:00", "2026-03-02T20:30:00+01:00")
    before = encounter("ed1", "EMER", "2025-12-24T10:00:00Z", "2025-12-24T15:00:00Z", of="gp")
    long_ago = encounter("ed2", "EMER", "2025-06-01T10:00:00Z", "2025-06-01T15:00:00Z")
    score = scored(
        rooms,
        STAY,
        led_here,
        before,
        long_ago,
        condition("I50.9", of="gp"),
        condition("E11.9"),
        condition("I10"),
    )
    assert [(part.name[0], part.points) for part in score.parts] == [("L", 5), ("A", 3), ("C", 3), ("E", 1)]
    assert (score.points, score.band, score.is_complete) == (12, "high", True)
    assert score.parts[2].measured == "Diabetes without complications; Congestive heart failure"
    (made,) = rooms.find("Observation", ("code", "|".join(LACE)))
    assert validate(made) == []
    assert made["encounter"] == {"reference": "Encounter/stay"}


@pytest.mark.parametrize(
    ("more", "points"),
    [
        (ELECTIVE, 0),
        ({"type": [{"coding": [{"system": V2_0007, "code": "E"}]}]}, 3),
        (
            {
                "priority": {
                    "coding": [
                        {"system": "http://terminology.hl7.org/CodeSystem/v3-ActPriority", "code": "UR"}
                    ]
                }
            },
            3,
        ),
        ({}, None),
    ],
)
def test_acuity_is_read_from_type_or_priority_or_is_missing(rooms: Any, more: Any, points: int | None):
    score = scored(rooms, STAY | more, condition("I10"))
    assert score.parts[1].points == points
    assert score.is_complete is (points is not None)


def test_nothing_on_record_does_not_mean_healthy(rooms: Any):
    text_only = condition("x") | {"code": {"text": "Feels unwell"}}
    score = scored(rooms, STAY | ELECTIVE, text_only)
    assert (score.parts[2].points, score.text) == (None, "at least 5")


def test_refuted_and_later_conditions_do_not_count(rooms: Any):
    ver = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
    refuted = condition("C78.0", verificationStatus={"coding": [{"system": ver, "code": "refuted"}]})
    later = condition("I50.9", onsetDateTime="2026-05-01")
    assert scored(rooms, STAY | ELECTIVE, refuted, later, condition("I10")).parts[2].points == 0


@pytest.mark.parametrize(
    "stay",
    [
        STAY | {"status": "in-progress"},
        encounter("stay", "AMB", "2026-03-02", "2026-03-02"),
        STAY | {"period": {"start": "2026-03-02T10:00:00Z"}},
        STAY | {"hospitalization": {"dischargeDisposition": {"coding": [{"code": "exp"}]}}},
    ],
)
def test_other_encounters_get_no_index(rooms: Any, stay: Resource):
    assert scored(rooms, stay, condition("I10")) is None
