"""The NEWS2 station, on a real database: one score for a person and a time, whatever comes first, late or twice."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from careloom.analyze.scores.vitals import PARAMETER, measurements
from careloom.fhir.instant import instant
from careloom.fhir.resource import Resource
from careloom.fhir.validate import validate
from careloom.store.score import NEWS2, reading

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
CODES = {
    "9279-1": "/min",
    "59408-5": "%",
    "3151-8": "L/min",
    "8480-6": "mm[Hg]",
    "8867-4": "/min",
    "8310-5": "Cel",
}
WELL: dict[str, Any] = {"9279-1": 16, "59408-5": 97, "3151-8": 0, "8480-6": 120, "8867-4": 72, "8310-5": 36.8}
ALERT = ("80288-4", "248234008")


def patient(id_: str, born: str = "1960-01-01") -> Resource:
    return {"resourceType": "Patient", "id": id_, "birthDate": born}


def person(*patients: str) -> Resource:
    links = [{"target": {"reference": f"Patient/{id_}"}} for id_ in patients]
    return {"resourceType": "Person", "id": "person", "active": True, "link": links}


def vital(code: str, value: Any, at: datetime = AT, of: str = "ehr", **more: Any) -> Resource:
    resource: Resource = {
        "resourceType": "Observation",
        "id": f"{of}-{code}-{at:%H%M%S}",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": code}]},
        "subject": {"reference": f"Patient/{of}"},
        "effectiveDateTime": instant(at),
    }
    if code in CODES:
        resource["valueQuantity"] = {
            "value": value,
            "system": "http://unitsofmeasure.org",
            "code": CODES[code],
        }
    else:
        resource["valueCodeableConcept"] = {"coding": [{"system": SNOMED, "code": value}]}
    return resource | more


def whole_set(at: datetime = AT, of: str = "ehr", **changed: Any) -> list[Resource]:
    values = WELL | {code.replace("_", "-"): value for code, value in changed.items()}
    return [vital(code, value, at, of) for code, value in values.items()] + [vital(*ALERT, at, of)]


def scores(rooms: Any) -> list[Resource]:
    return rooms.find("Observation", ("code", "|".join(NEWS2)), sort="date")


def test_a_set_of_vital_signs_makes_one_complete_score_that_names_each_of_them(rooms: Any):
    rooms.say(AT, patient("ehr"), person("ehr"), *whole_set(r=1, **{"9279_1": 22, "59408_5": 93}))
    made = rooms.run(AT + timedelta(seconds=1), "news2")
    assert len(made) == 1
    score = scores(rooms)[0]
    read = reading(score)
    assert (read.points, read.is_complete, read.band) == (4, True, "low")
    assert [part.points for part in read.parts] == [2, 2, 0, 0, 0, 0, 0]
    assert [part.measured for part in read.parts] == [
        "22 /min",
        "93 %",
        "Air",
        "120 mmHg",
        "72 /min",
        "Alert",
        "36.8 °C",
    ]
    assert {part.reference for part in read.parts} == {entry["reference"] for entry in score["derivedFrom"]}
    assert score["effectiveDateTime"] == instant(AT)
    assert validate(score) == []


def test_a_score_reads_the_vitals_of_all_patients_of_the_person(rooms: Any):
    here, there = whole_set()[:3], whole_set(of="lab", at=AT - timedelta(minutes=20))[3:]
    rooms.say(AT, patient("ehr"), patient("lab"), person("ehr", "lab"), *there, *here)
    rooms.run(AT, "news2")
    last = scores(rooms)[-1]
    assert reading(last).is_complete
    assert last["subject"] == {"reference": "Patient/ehr"}
    assert {entry["reference"].split("/")[1][:3] for entry in last["derivedFrom"]} == {"ehr", "lab"}


def test_a_patient_whom_no_person_links_is_scored_alone(rooms: Any):
    rooms.say(AT, patient("ehr"), *whole_set())
    rooms.run(AT, "news2")
    assert reading(scores(rooms)[0]).points == 0


def test_a_missing_parameter_leaves_no_total_but_a_lower_bound_and_a_reason(rooms: Any):
    rooms.say(
        AT,
        patient("ehr"),
        *[each for each in whole_set(**{"8867_4": 120}) if each["id"] != "ehr-3151-8-120000"],
    )
    rooms.run(AT, "news2")
    score = scores(rooms)[0]
    read = reading(score)
    assert "valueQuantity" not in score
    assert score["dataAbsentReason"]["text"] == "Incomplete: Air or oxygen"
    assert (read.points, read.is_complete, read.text) == (2, False, "at least 2")
    assert [part.missing for part in read.parts if part.points is None] == ["Not measured"]
    assert validate(score) == []


def test_a_stale_parameter_is_missing_and_says_how_old_it_is(rooms: Any):
    old = [
        vital("9279-1", 16, AT - timedelta(minutes=61)),
        vital(*ALERT, AT - timedelta(hours=5, minutes=59)),
    ]
    fresh = [each for each in whole_set() if not each["id"].startswith(("ehr-9279", "ehr-80288"))]
    rooms.say(AT, patient("ehr"), *old, *fresh)
    rooms.run(AT, "news2")
    missing = [(part.name, part.missing) for part in reading(scores(rooms)[-1]).parts if part.points is None]
    assert missing == [("Respiration rate", "Last measured 61 min before")]


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"valueQuantity": {"value": 16}}, "Unit not understood"),
        ({"valueQuantity": {"value": 16, "unit": "mg"}}, "Unit not understood"),
        ({"valueQuantity": {"value": 900, "unit": "/min"}}, "Not a possible value"),
        ({"valueQuantity": {"value": 16, "comparator": "<", "unit": "/min"}}, "No plain number"),
    ],
)
def test_an_unusable_value_is_missing_and_does_not_fall_back_to_an_older_one(
    rooms: Any, changed: Any, problem: str
):
    earlier = whole_set(AT - timedelta(minutes=10))
    rooms.say(AT, patient("ehr"), *earlier, vital("9279-1", 16, **changed))
    rooms.run(AT, "news2")
    last = reading(scores(rooms)[-1])
    assert [(part.name, part.missing) for part in last.parts if part.points is None] == [
        ("Respiration rate", problem)
    ]


def test_blood_pressure_in_a_panel_fahrenheit_and_oxygen_as_a_share_are_read(rooms: Any):
    quantity = {"system": "http://unitsofmeasure.org"}
    panel = vital("85354-9", "")
    del panel["valueCodeableConcept"]
    panel["component"] = [
        {"code": {"coding": [{"system": LOINC, "code": "8480-6"}]}, "valueQuantity": {**quantity, "value": 95, "code": "mm[Hg]"}}
    ]  # fmt: skip
    fever = vital("8310-5", 0, valueQuantity={**quantity, "value": 102.4, "code": "[degF]"})
    share = vital("3150-0", 0, valueQuantity={**quantity, "value": 28, "code": "%"})
    share.pop("valueCodeableConcept")
    rest = [each for each in whole_set() if not each["id"].startswith(("ehr-8480", "ehr-8310", "ehr-3151"))]
    rooms.say(AT, patient("ehr"), panel, fever, share, *rest)
    rooms.run(AT, "news2")
    read = reading(scores(rooms)[0])
    assert [part.points for part in read.parts] == [0, 0, 2, 2, 0, 0, 2]
    assert [part.measured for part in read.parts][2:4] == ["Oxygen 28 %", "95 mmHg"]
    assert read.parts[6].measured == "39.1 °C"


@pytest.mark.parametrize(
    ("stated", "points"),
    [
        ({"valueString": "A"}, 0),
        ({"valueString": "confused"}, 3),
        ({"valueCodeableConcept": {"text": "Voice"}}, 3),
        ({"valueCodeableConcept": {"coding": [{"system": "urn:local", "code": "P"}]}}, 3),
        ({"valueCodeableConcept": {"text": "GCS 14"}}, None),
    ],
)
def test_acvpu_is_read_as_code_letter_or_word_and_nothing_else(stated: Any, points: int | None):
    observation = vital(*ALERT)
    del observation["valueCodeableConcept"]
    found = measurements(observation | stated)
    assert [measurement.value is None for measurement in found] == [points is None]


def test_the_flag_of_a_clinician_and_nothing_else_switches_to_scale_2(rooms: Any):
    copd = {
        "resourceType": "Condition",
        "id": "copd",
        "code": {"coding": [{"system": SNOMED, "code": "13645005"}]},
        "subject": {"reference": "Patient/ehr"},
    }
    rooms.say(AT, patient("ehr"), patient("gp"), person("ehr", "gp"), copd, *whole_set(**{"59408_5": 90}))
    rooms.run(AT, "news2")
    assert reading(scores(rooms)[0]).points == 3
    flag = {
        "resourceType": "Flag",
        "id": "target",
        "status": "active",
        "code": {"coding": [{"system": "urn:careloom:flag", "code": "spo2-scale-2"}]},
        "subject": {"reference": "Patient/gp"},
        "period": {"start": instant(AT - timedelta(days=1))},
    }
    rooms.say(AT + timedelta(minutes=1), flag)
    rooms.run(AT + timedelta(minutes=1), "news2")
    (score,) = scores(rooms)
    assert reading(score).points == 0
    assert "1104321000000108" in str(score["component"])
    ended = flag | {
        "status": "inactive",
        "period": {**flag["period"], "end": instant(AT - timedelta(hours=1))},
    }
    rooms.say(AT + timedelta(minutes=2), ended)
    rooms.run(AT + timedelta(minutes=2), "news2")
    assert reading(scores(rooms)[0]).points == 3


def test_children_and_pregnant_women_get_no_score(rooms: Any):
    rooms.say(AT, patient("child", "2012-01-01"), *whole_set(of="child"))
    pregnancy = {
        "resourceType": "Condition",
        "id": "p",
        "clinicalStatus": {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}
            ]
        },
        "code": {"coding": [{"system": SNOMED, "code": "77386006"}]},
        "subject": {"reference": "Patient/mother"},
    }
    rooms.say(AT, patient("mother", "1995-01-01"), pregnancy, *whole_set(of="mother"))
    assert rooms.run(AT, "news2") == []


def test_pulse_and_pressure_alone_make_no_score_but_a_red_value_does(rooms: Any):
    rooms.say(AT, patient("ehr"), vital("8867-4", 80), vital("8480-6", 120))
    assert rooms.run(AT, "news2") == []
    rooms.say(AT, vital("9279-1", 30, AT + timedelta(minutes=5)))
    rooms.run(AT, "news2")
    read = reading(scores(rooms)[0])
    assert (read.is_complete, read.points, read.band) == (False, 3, "low-medium")


def test_vital_signs_told_to_the_second_or_the_minute_count_at_their_own_moment(rooms: Any):
    said = [each | {"effectiveDateTime": "2026-03-01T13:00:00+01:00"} for each in whole_set()]
    rooms.say(AT, patient("ehr"), *said)
    rooms.run(AT, "news2")
    (score,) = scores(rooms)
    assert reading(score).is_complete
    assert score["effectiveDateTime"] == instant(AT)


def test_a_vital_sign_known_to_the_day_only_counts_for_nothing(rooms: Any):
    said = [each | {"effectiveDateTime": "2026-03-01"} for each in whole_set()]
    rooms.say(AT, patient("ehr"), *said)
    assert rooms.run(AT, "news2") == []


def test_old_records_make_no_scores(rooms: Any):
    rooms.say(AT + timedelta(days=32), patient("ehr"), *whole_set())
    assert rooms.run(AT + timedelta(days=32), "news2") == []


def test_hearing_everything_again_changes_nothing(rooms: Any):
    rooms.say(AT, patient("ehr"), *whole_set(), *whole_set(AT + timedelta(minutes=30), **{"9279_1": 26}))
    rooms.run(AT + timedelta(hours=1), "news2")
    before = scores(rooms)
    rooms.forget("news2")
    assert rooms.run(AT + timedelta(hours=2), "news2") == []
    assert scores(rooms) == before


def test_a_corrected_vital_sign_corrects_the_scores_it_counts_for(rooms: Any):
    later = [each for each in whole_set(AT + timedelta(minutes=30)) if not each["id"].startswith("ehr-9279")]
    rooms.say(AT, patient("ehr"), *whole_set(**{"9279_1": 26}), *later)
    rooms.run(AT + timedelta(minutes=31), "news2")
    assert [reading(score).points for score in scores(rooms)] == [3, 3]
    rooms.say(AT + timedelta(minutes=40), vital("9279-1", 16, status="corrected"))
    rooms.run(AT + timedelta(minutes=40), "news2")
    assert [reading(score).points for score in scores(rooms)] == [0, 0]


def test_a_vital_sign_taken_back_leaves_the_score_incomplete_and_the_last_one_withdraws_it(rooms: Any):
    vitals = whole_set(**{"9279_1": 26})
    rooms.say(AT, patient("ehr"), *vitals)
    rooms.run(AT, "news2")
    rooms.say(AT + timedelta(minutes=1), vitals[0] | {"status": "entered-in-error"})
    rooms.run(AT + timedelta(minutes=1), "news2")
    assert reading(scores(rooms)[0]).text == "at least 0"
    for minute, each in enumerate(vitals[1:], 2):
        rooms.delete(AT + timedelta(minutes=minute), "Observation", each["id"])
    rooms.run(AT + timedelta(minutes=20), "news2")
    assert scores(rooms)[0]["status"] == "entered-in-error"


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(8)), split=st.integers(1, 7))
def test_the_order_in_which_vital_signs_come_does_not_matter(rooms: Any, order: list[int], split: int):
    of = f"p{next(COUNTER)}"
    late = AT + timedelta(minutes=20)
    vitals = [
        *whole_set(of=of, **{"9279_1": 22})[:4],
        *whole_set(late, of, **{"8867_4": 95})[4:],
        vital("59408-5", 93, late, of),
    ]
    rooms.say(AT, patient(of))
    for part in (order[:split], order[split:]):
        rooms.say(AT, *[vitals[index] for index in part])
        rooms.run(AT, "news2")
    found = rooms.find("Observation", ("code", "|".join(NEWS2)), ("subject", f"Patient/{of}"), sort="date")
    assert [reading(score).text for score in found][-1] == "5"


COUNTER = itertools.count()


def test_every_code_that_is_read_carries_a_valid_check_digit():
    for system, code in PARAMETER:
        if system == LOINC:
            body, check = code.split("-")
            doubled = [
                int(digit) * (2 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(body))
            ]
            assert (10 - sum(sum(divmod(number, 10)) for number in doubled) % 10) % 10 == int(check), code
