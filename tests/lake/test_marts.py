"""Each mart, by worked examples."""

from __future__ import annotations

import random
import tomllib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.lake.conftest import NOW, Shore
from tests.lake.test_omop import code, condition, person, ref, result, stay

from careloom.fhir.outcome import OutcomeError
from careloom.fhir.resource import Resource
from careloom.lake.marts.events import events, known
from careloom.lake.marts.mart import marts

LINKED: Resource = {
    "resourceType": "Person", "id": "x", "link": [{"target": ref("Patient/p1")}, {"target": ref("Patient/p2")}],
}  # fmt: skip


def asked(shore: Shore, sql: str, when: Any = None) -> list[tuple[Any, ...]]:
    with marts(shore.lake, when=when) as duck:
        return duck.execute(sql).fetchall()


def at(id_: str, start: str, end: str | None, place: str = "a", **more: Any) -> Resource:
    return stay(id_, start, end, serviceProvider=ref(f"Organization/{place}"), **more)


def test_a_person_is_all_patients_that_are_linked_as_of_the_time_that_is_asked(shore: Shore) -> None:
    before = shore.say(person(), person("p2", deceasedDateTime="2021-01-01"), person("p3"))
    shore.say(LINKED)
    shore.build()
    sql = "select person, patients, is_dead from persons order by person"
    assert asked(shore, sql) == [("Patient/p3", ["p3"], False), ("Person/x", ["p1", "p2"], True)]
    assert [row[0] for row in asked(shore, sql, before)] == ["Patient/p1", "Patient/p2", "Patient/p3"]


def test_a_transfer_goes_on_with_the_stay_and_a_later_admission_does_not(shore: Shore) -> None:
    shore.say(
        person(),
        person("p2"),
        LINKED,
        at("e1", "2025-01-01T10:00:00Z", "2025-01-03T09:00:00Z"),
        # The next day elsewhere, under the other Patient of the same person; then within that, and again on its last day.
        at("e2", "2025-01-04T08:00:00Z", "2025-01-10", "b") | {"subject": ref("Patient/p2")},
        at("e3", "2025-01-05", "2025-01-06", "b"),
        at("e4", "2025-01-10T18:00:00Z", "2025-01-11", "b"),
        # The next day in the same place is a stay of its own, as is a day of no midnight.
        at("e5", "2025-01-12T08:00:00Z", "2025-01-12T20:00:00Z", "b"),
        at("e6", "2025-06-01", None),
        stay("e7", "2025-03-01", "2025-03-01", "EMER"),
    )
    shore.build()
    sql = "select stay, encounters, days, discharged_at is null from stays order by admitted_at"
    assert asked(shore, sql) == [
        ("e1", ["e1", "e2", "e3", "e4"], 10, False),
        ("e5", ["e5"], 0, False),
        ("e6", ["e6"], None, True),
    ]


def test_a_readmission_is_one_within_thirty_days_that_was_not_planned(shore: Shore) -> None:
    def left(why: str) -> dict[str, Any]:
        return {
            "hospitalization": {
                "dischargeDisposition": code(
                    why, "http://terminology.hl7.org/CodeSystem/discharge-disposition"
                )
            }
        }

    elective = {"priority": code("EL", "http://terminology.hl7.org/CodeSystem/v3-ActPriority")}
    shore.say(
        person(),
        at("a", "2025-01-01", "2025-01-05"),
        at("b", "2025-02-04", "2025-02-06"),  # 30 days after a
        at("c", "2025-03-09", "2025-03-10"),  # 31 days after b
        at("d", "2025-03-20", "2025-03-22", **elective),  # planned
        at("e", "2025-04-01", "2025-04-02", **left("aadvice")),
        at("f", "2025-04-10", "2025-04-12"),
        at("g", "2026-02-20", "2026-02-25"),  # nine days before the day of the data
    )
    shore.build()
    rows = asked(
        shore, "select stay, is_readmitted, days_between, excluded from readmissions order by discharged_at"
    )
    assert rows == [
        ("a", True, 30, None),
        ("b", False, 31, None),
        ("c", False, 10, None),
        ("d", True, 10, None),
        ("e", False, 8, "left against advice"),
        ("f", False, 314, None),
        ("g", False, None, "not followed for 30 days"),
    ]


def test_who_died_in_a_stay_is_no_index(shore: Shore) -> None:
    shore.say(person(deceasedDateTime="2025-01-05T03:00:00Z"), at("a", "2025-01-01", "2025-01-05T03:00:00Z"))
    shore.build()
    assert asked(shore, "select excluded, is_readmitted from readmissions") == [("died", False)]


def test_use_and_cost_are_told_by_month(shore: Shore) -> None:
    line = {
        "sequence": 1, "productOrService": code("1"), "servicedDate": "2025-01-20",
        "adjudication": [
            {"category": code(name, "http://terminology.hl7.org/CodeSystem/adjudication"), "amount": {"value": value, "currency": "USD"}}
            for name, value in (("submitted", 100), ("eligible", 90), ("benefit", 70), ("copay", 20))
        ],
    }  # fmt: skip
    claim: Resource = {
        "resourceType": "ExplanationOfBenefit", "id": "b", "status": "active", "type": code("x"), "use": "claim",
        "patient": ref("Patient/p1"), "created": "2025-02-03", "insurer": {"display": "i"}, "provider": {"display": "p"},
        "outcome": "complete", "insurance": [{"focal": True, "coverage": {"display": "c"}}], "item": [line, line | {"sequence": 2}],
    }  # fmt: skip
    shore.say(
        person(), at("a", "2025-01-30", "2025-02-02"), stay("v", "2025-01-03", "2025-01-03", "AMB"), stay("u", "2025-02-03", None, "EMER"),
        {"resourceType": "Procedure", "id": "q", "status": "completed", "subject": ref("Patient/p1"), "performedDateTime": "2025-02-01"},
        claim,
    )  # fmt: skip
    shore.build()
    assert asked(shore, "select * exclude (person) from utilisation order by month") == [
        (date(2025, 1, 1), 0, 1, 1, 3, 0, 200.0, 180.0, 140.0, 40.0),
        (date(2025, 2, 1), 1, 0, 0, 0, 1, None, None, None, None),
    ]


def test_a_chronic_condition_is_known_by_rubric_or_code_and_a_site_may_name_its_own(
    shore: Shore, tmp_path: Path
) -> None:
    icd = "http://hl7.org/fhir/sid/icd-10-cm"
    over = {"clinicalStatus": code("resolved", "http://terminology.hl7.org/CodeSystem/condition-clinical")}
    shore.say(
        person(),
        condition("c1", code("E11.65", icd), onsetDateTime="2015"),
        condition("c2", code("44054006"), onsetDateTime="2019-04-05"),
        condition("c3", code("195967001"), **over),
        condition("c4", code("38341003"), verificationStatus=code("refuted", "x")),
        condition("c5", code("E1165", "urn:elsewhere")),
        condition("c6", code("Z94", icd)),
    )
    shore.build()
    sql = "select condition, first_known, records, is_active from chronic_conditions order by 1"
    assert asked(shore, sql) == [
        ("asthma", date(2020, 5, 1), 1, False),
        ("diabetes", date(2015, 1, 1), 2, True),
    ]
    own = tmp_path / "own.toml"
    own.write_text('[transplant]\nicd10 = ["Z94"]\n')
    with marts(shore.lake, ["chronic_conditions"], chronic=own) as duck:
        assert duck.execute("select condition from chronic_conditions").fetchall() == [("transplant",)]
    own.write_text("[transplant")
    with pytest.raises(OutcomeError, match="cannot be read"):
        marts(shore.lake, chronic=own)


def test_an_unknown_mart_is_refused_with_those_there_are(shore: Shore) -> None:
    shore.say(person())
    shore.build()
    with pytest.raises(OutcomeError, match="there are: persons, stays"):
        marts(shore.lake, ["stay"])


def test_what_is_known_at_a_time_knows_nothing_that_came_later(shore: Shore) -> None:
    def tell(*resources: Resource) -> datetime:
        shore.say(*resources)
        return shore.now + timedelta(milliseconds=500)

    def pulse(value: int, **more: Any) -> Resource:
        return result("o1", valueQuantity={"value": value, "unit": "/min"}, **more)

    nothing = tell(person(), person("p2"))
    first = tell(pulse(60))
    corrected = tell(pulse(90))
    # A diagnosis of long ago that is entered late, and a result of the future that no one can have yet.
    late = tell(
        condition("c1", code("1"), onsetDateTime="2001"),
        result("o9", valueString="x", effectiveDateTime="2030-01-01"),
        result("o8", valueString="x", effectiveDateTime="2026-03-01T09:00:00-05:00"),  # two hours ahead
    )
    other = tell(condition("c2", code("2")) | {"subject": ref("Patient/p2")})
    linked = tell(LINKED)
    shore.delete("Observation", "o1")
    gone = shore.now + timedelta(milliseconds=500)
    shore.build()
    moments = [nothing, first, corrected, late, other, linked, gone]
    with events(shore.lake) as duck:
        known(duck, [("p1", moment) for moment in moments])
        rows = duck.execute(
            "select as_of, list((id, value) order by id) from known group by as_of order by as_of"
        ).fetchall()
        assert [(row[0].astimezone(UTC), row[1]) for row in rows] == [
            (first, [("o1", 60.0)]),
            (corrected, [("o1", 90.0)]),
            (late, [("c1", None), ("o1", 90.0)]),
            (other, [("c1", None), ("o1", 90.0)]),
            (linked, [("c1", None), ("c2", None), ("o1", 90.0)]),
            (gone, [("c1", None), ("c2", None)]),
        ]
        assert duck.execute("select count(*) from known where known_from > as_of").fetchall() == [(0,)]
        assert "known_to" not in {row[0] for row in duck.execute("describe known").fetchall()}


def test_what_is_known_at_a_time_equals_what_the_lake_shows_of_that_time(shore: Shore) -> None:
    moments: list[datetime] = []
    for turn in range(12):
        shore.say(person(), result(f"o{turn % 4}", valueQuantity={"value": turn, "unit": "1"}))
        if turn % 5 == 4:
            shore.delete("Observation", f"o{turn % 4}")
        moments.append(shore.now + timedelta(milliseconds=1))
    shore.build()
    with events(shore.lake) as duck:
        known(duck, [("p1", moment) for moment in moments])
        for moment in moments:
            told = duck.execute(
                "select id, value from known where as_of = ? order by all", [moment]
            ).fetchall()
            assert told == shore.ask('select id, valueQuantity.value from "Observation" order by all', moment)


def test_what_is_known_is_a_replay_of_what_was_written_for_any_history(shore: Shore) -> None:
    """Written, corrected, deleted, told again, linked and unlinked by lot; the oracle is a dict that is replayed."""
    chance = random.Random(11)
    log: list[tuple[datetime, str, Resource | None]] = []
    shore.say(person(), person("p2"), person("p3"))
    for _ in range(90):
        whose, name = f"Patient/p{chance.randint(1, 3)}", f"{chance.randint(1, 5)}"
        # Some are of the past, and some are still to come at times that are asked of.
        at = (NOW + timedelta(seconds=chance.randint(-100, 100))).isoformat()
        said: list[Resource] = [
            condition(f"c{name}", code(name), onsetDateTime=at) | {"subject": ref(whose)},
            result(f"o{name}", effectiveDateTime=at, valueString="x") | {"subject": ref(whose)},
            LINKED | {"link": [{"target": ref(f"Patient/p{n}")} for n in chance.sample(range(1, 4), 2)]},
        ]
        one = chance.choice(said)
        key = f"{one['resourceType']}/{one['id']}"
        before = next((held for _, known_as, held in reversed(log) if known_as == key), None)
        if before is not None and chance.random() < 0.3:
            shore.delete(one["resourceType"], one["id"])
            log.append((shore.now, key, None))
        else:
            shore.say(one)
            log.append((shore.now, key, one))
    shore.build()
    anchors = [
        (f"p{n}", NOW + timedelta(milliseconds=1000 * second + 500))
        for n in (1, 2, 3)
        for second in range(0, 95, 4)
    ]
    with events(shore.lake) as duck:
        known(duck, anchors)
        rows = duck.execute("select asked, as_of, kind || '/' || id from known").fetchall()
    found: dict[tuple[str, datetime], set[str]] = {anchor: set() for anchor in anchors}
    for asked_of, as_of, key in rows:
        found[asked_of, as_of.astimezone(UTC)].add(key)
    assert found == {anchor: _replayed(log, *anchor) for anchor in anchors}
    assert sum(map(len, found.values())) == len(rows) > 100


def _replayed(log: list[tuple[datetime, str, Resource | None]], asked_of: str, as_of: datetime) -> set[str]:
    state = {key: held for at, key, held in log if at <= as_of}
    linked = {each["target"]["reference"] for each in (state.get("Person/x") or {}).get("link", [])}
    own = f"Patient/{asked_of}"
    persons = linked if own in linked else {own}
    return {
        key
        for key, held in state.items()
        if held
        and held.get("subject", {}).get("reference") in persons
        and datetime.fromisoformat(held.get("onsetDateTime") or held["effectiveDateTime"]) <= as_of
    }


def test_the_columns_of_each_mart_stand_in_the_docs() -> None:
    folder = Path(__file__).parents[2]
    page = (folder / "docs/reference/marts.md").read_text()
    about = tomllib.loads((folder / "src/careloom/lake/marts/about.toml").read_text())
    for name, told in about.items():
        rows = "".join(f"| `{column}` | {kind} | {what} |\n" for column, kind, what in told["columns"])
        assert (
            f"### {name}\n\n{told['about']}.\n\n| column | type | what |\n|---|---|---|\n{rows}\n" in page
        ), name


def test_a_person_of_a_mart_joins_the_view_of_persons_by_its_id(shore: Shore) -> None:
    shore.say(person(), person("p2"), person("p3"), LINKED)
    shore.build()
    sql = "select person, person_id from persons order by person"
    assert asked(shore, sql) == [("Patient/p3", "p3"), ("Person/x", "x")]
