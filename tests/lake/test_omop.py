"""The CDM of a few resources: each test says what one of them becomes."""

from __future__ import annotations

import runpy
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from tests.lake.conftest import Shore

from careloom.fhir.outcome import OutcomeError
from careloom.fhir.resource import Resource
from careloom.lake.omop.build import Built, attach, build
from careloom.lake.omop.facts import HERE, tables
from careloom.lake.omop.inspection import contents
from careloom.settings import settings_from
from careloom.store.actor import Actor

SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"


def code(code: str, system: str = SNOMED, text: str = "") -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}], **({"text": text} if text else {})}


def ref(name: str) -> dict[str, str]:
    return {"reference": name}


def person(id_: str = "p1", **more: Any) -> Resource:
    return {"resourceType": "Patient", "id": id_, "gender": "female", "birthDate": "1970-02-03", **more}


def stay(id_: str, start: str, end: str | None = None, kind: str = "IMP", **more: Any) -> Resource:
    period = {"start": start} | ({"end": end} if end else {})
    act = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": kind}
    return {
        "resourceType": "Encounter", "id": id_, "status": "finished", "class": act, "subject": ref("Patient/p1"),
        "period": period, **more,
    }  # fmt: skip


def condition(id_: str, what: dict[str, Any], **more: Any) -> Resource:
    return {
        "resourceType": "Condition", "id": id_, "subject": ref("Patient/p1"), "code": what,
        "onsetDateTime": "2020-05-01", **more,
    }  # fmt: skip


def result(id_: str, **more: Any) -> Resource:
    return {
        "resourceType": "Observation", "id": id_, "status": "final", "subject": ref("Patient/p1"),
        "code": code("8867-4", LOINC), "effectiveDateTime": "2020-05-01T10:30:00+02:00", **more,
    }  # fmt: skip


class Cdm:
    """The CDM of a shore."""

    def __init__(self, shore: Shore) -> None:
        self.shore = shore
        self.file = shore.root / "omop.duckdb"
        self.vocabulary: Path | None = None

    def of(self, *resources: Resource) -> Built:
        self.shore.say(*resources)
        return self.again()

    def again(self, *, is_fresh: bool = False) -> Built:
        self.shore.build()
        return build(self.shore.lake, self.file, self.vocabulary, is_fresh=is_fresh)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect() as duck:
            attach(duck, self.file, is_read_only=True)
            return duck.execute(f"use cdm; {sql}").fetchall()


@pytest.fixture
def cdm(shore: Shore) -> Cdm:
    return Cdm(shore)


def test_a_patient_is_a_person(cdm: Cdm) -> None:
    race = {
        "url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race",
        "extension": [{"url": "ombCategory", "valueCoding": {"system": "urn:oid:2.16.840.1.113883.6.238", "code": "2054-5"}}],
    }  # fmt: skip
    address = {"line": ["1 High St"], "city": "Leeds", "state": "MA", "postalCode": "01234-5678"}
    cdm.of(person(extension=[race], address=[address], deceasedDateTime="2021-02-03T04:05:06Z"))
    sql = "select gender_concept_id, year_of_birth, month_of_birth, day_of_birth, race_concept_id, person_source_value from person"
    assert cdm.ask(sql) == [(8532, 1970, 2, 3, 8516, "p1")]
    assert cdm.ask("select city, state, zip from location join person using (location_id)") == [
        ("Leeds", "MA", "012345678")
    ]
    assert cdm.ask("select death_date, death_datetime from death") == [
        (date(2021, 2, 3), datetime(2021, 2, 3, 4, 5, 6))  # noqa: DTZ001 - the CDM has no zones
    ]


def test_patients_that_a_person_links_are_one_person_with_the_events_of_both(cdm: Cdm) -> None:
    linked: Resource = {
        "resourceType": "Person", "id": "x", "gender": "male", "birthDate": "1970-02-04",
        "link": [{"target": ref("Patient/p1")}, {"target": ref("Patient/p2")}],
    }  # fmt: skip
    other = condition("c2", code("2")) | {"subject": ref("Patient/p2")}
    cdm.of(person(), person("p2"), person("p3"), linked, condition("c1", code("1")), other)
    assert cdm.ask("select person_source_value, gender_concept_id, day_of_birth from person order by 1") == [
        ("p1 p2", 8507, 4),
        ("p3", 8532, 3),
    ]
    assert cdm.ask("select count(distinct person_id), count(*) from condition_occurrence") == [(1, 2)]


def test_a_stay_is_a_visit_and_what_lies_within_is_a_detail(cdm: Cdm) -> None:
    ward: Resource = {"resourceType": "Location", "id": "w", "name": "Ward 1"}
    inside = [{"location": ref("Location/w"), "period": {"start": "2020-05-02", "end": "2020-05-03"}}]
    whole = stay("e1", "2020-05-01T08:00:00Z", "2020-05-04T12:00:00Z", location=inside)
    part = stay("e2", "2020-05-03", "2020-05-04", partOf=ref("Encounter/e1"))
    later = stay("e3", "2020-06-01", kind="AMB")
    planned = stay("e4", "2030-06-01") | {"status": "planned"}
    cdm.of(
        person(), ward, whole, part, later, planned, condition("c", code("1"), encounter=ref("Encounter/e2"))
    )
    sql = """select visit_concept_id, visit_start_date, visit_end_date, preceding_visit_occurrence_id is null
        from visit_occurrence order by 2"""
    assert cdm.ask(sql) == [
        (9201, date(2020, 5, 1), date(2020, 5, 4), True),
        (9202, date(2020, 6, 1), date(2020, 6, 1), False),
    ]
    sql = """select visit_detail_start_date, care_site_name from visit_detail left join care_site using (care_site_id)
        order by 1"""
    assert cdm.ask(sql) == [(date(2020, 5, 2), "Ward 1"), (date(2020, 5, 3), None)]
    sql = """select v.visit_start_date, d.visit_detail_start_date from condition_occurrence
        join visit_occurrence v using (visit_occurrence_id) join visit_detail d using (visit_detail_id)"""
    assert cdm.ask(sql) == [(date(2020, 5, 1), date(2020, 5, 3))]


def test_a_stay_that_goes_on_ends_for_now_on_the_day_of_the_data(cdm: Cdm) -> None:
    cdm.of(person(), stay("e1", "2026-02-01"), stay("e2", "2026-02-02", kind="AMB"))
    ends = [
        row[0] for row in cdm.ask("select visit_end_date from visit_occurrence order by visit_start_date")
    ]
    assert ends == [date(2026, 3, 1), date(2026, 2, 2)]


def test_a_result_is_a_measurement_with_its_unit_and_range_and_a_component_one_of_its_own(cdm: Cdm) -> None:
    amount = {
        "value": 7.25,
        "comparator": "<",
        "unit": "mmol/L",
        "system": "http://unitsofmeasure.org",
        "code": "mmol/L",
    }
    pressure = [
        {"code": code("8480-6", LOINC), "valueQuantity": {"value": 120, "unit": "mmHg"}},
        {"code": code("8462-4", LOINC), "valueQuantity": {"value": 80, "unit": "mmHg"}},
    ]
    cdm.of(
        person(),
        result("o1", valueQuantity=amount, referenceRange=[{"low": {"value": 3.5}, "high": {"value": 5.5}}]),
        result("o2", component=pressure),
        result("o3", valueString="smoker", effectiveDateTime="2019"),
        result("o4", valueQuantity={"value": 1}, status="entered-in-error"),
    )
    sql = """select measurement_source_value, value_as_number, unit_source_value, range_low, range_high, operator_concept_id,
        value_source_value, measurement_datetime from measurement order by 1, 2"""
    at = datetime(2020, 5, 1, 10, 30)  # noqa: DTZ001 - the CDM has no zones
    assert cdm.ask(sql) == [
        ("8462-4", 80.0, "mmHg", None, None, None, "80", at),
        ("8480-6", 120.0, "mmHg", None, None, None, "120", at),
        ("8867-4", 7.25, "mmol/L", 3.5, 5.5, 4171756, "<7.25", at),
    ]
    assert cdm.ask("select value_as_string, observation_date from observation") == [
        ("smoker", date(2019, 1, 1))
    ]


def test_a_drug_is_a_code_or_a_medication_in_the_store_or_one_within(cdm: Cdm) -> None:
    rxnorm = "http://www.nlm.nih.gov/research/umls/rxnorm"
    supply = {
        "quantity": {"value": 30},
        "expectedSupplyDuration": {"value": 2, "code": "wk"},
        "numberOfRepeatsAllowed": 3,
    }
    base: Resource = {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "subject": ref("Patient/p1"),
    }
    within: Resource = {"resourceType": "Medication", "id": "m", "code": code("3", rxnorm)}
    shot: Resource = {
        "resourceType": "Immunization", "id": "i", "status": "completed", "patient": ref("Patient/p1"),
        "vaccineCode": code("140", "http://hl7.org/fhir/sid/cvx"), "occurrenceDateTime": "2020-01-04", "lotNumber": "L1",
    }  # fmt: skip
    cdm.of(
        person(),
        {"resourceType": "Medication", "id": "m2", "code": code("2", rxnorm)},
        base
        | {
            "id": "r1",
            "authoredOn": "2020-01-01",
            "medicationCodeableConcept": code("1", rxnorm),
            "dispenseRequest": supply,
        },
        base | {"id": "r2", "authoredOn": "2020-01-02", "medicationReference": ref("Medication/m2")},
        base
        | {"id": "r3", "authoredOn": "2020-01-03", "medicationReference": ref("#m"), "contained": [within]},
        shot,
    )
    sql = """select drug_source_value, drug_exposure_start_date, drug_exposure_end_date, drug_type_concept_id, quantity,
        days_supply, refills, lot_number from drug_exposure order by 2"""
    assert cdm.ask(sql) == [
        ("1", date(2020, 1, 1), date(2020, 1, 15), 32838, 30.0, 14, 3, None),
        ("2", date(2020, 1, 2), date(2020, 1, 2), 32838, None, None, None, None),
        ("3", date(2020, 1, 3), date(2020, 1, 3), 32838, None, None, None, None),
        ("140", date(2020, 1, 4), date(2020, 1, 4), 32818, None, None, None, "L1"),
    ]


def test_procedures_devices_specimens_notes_coverages_and_costs_have_their_tables(cdm: Cdm) -> None:
    line = {
        "sequence": 1, "productOrService": code("1"), "encounter": [ref("Encounter/e1")],
        "adjudication": [
            {"category": code(name, "http://terminology.hl7.org/CodeSystem/adjudication"), "amount": {"value": value, "currency": "USD"}}
            for name, value in (("submitted", 100), ("benefit", 70), ("copay", 20), ("deductible", 10))
        ],
    }  # fmt: skip
    cdm.of(
        person(),
        stay("e1", "2020-05-01", "2020-05-02"),
        {"resourceType": "Device", "id": "d", "type": code("14106009")},
        {"resourceType": "Procedure", "id": "pr", "status": "completed", "subject": ref("Patient/p1"), "code": code("307280005"),
         "performedDateTime": "2020-05-01T09:00:00Z", "encounter": ref("Encounter/e1"),
         "focalDevice": [{"manipulated": ref("Device/d")}]},
        {"resourceType": "Procedure", "id": "no", "status": "not-done", "subject": ref("Patient/p1"), "performedDateTime": "2020-05-01"},
        {"resourceType": "Specimen", "id": "s", "subject": ref("Patient/p1"), "type": code("119297000"),
         "collection": {"collectedDateTime": "2020-05-01"}},
        {"resourceType": "DocumentReference", "id": "n", "status": "current", "subject": ref("Patient/p1"), "date": "2020-05-01T10:00:00Z",
         "content": [{"attachment": {"contentType": "text/plain", "data": "R3Jvw59lciBUYWc="}}]},
        {"resourceType": "Coverage", "id": "cv", "status": "active", "beneficiary": ref("Patient/p1"),
         "payor": [{"display": "ACME"}], "period": {"start": "2020-01-01", "end": "2020-12-31"}},
        {"resourceType": "ExplanationOfBenefit", "id": "b", "status": "active", "type": code("x"), "use": "claim", "patient": ref("Patient/p1"),
         "created": "2020-05-03", "insurer": {"display": "ACME"}, "provider": {"display": "we"}, "outcome": "complete",
         "insurance": [{"focal": True, "coverage": ref("Coverage/cv")}], "item": [line]},
    )  # fmt: skip
    assert cdm.ask("select procedure_source_value from procedure_occurrence") == [("307280005",)]
    assert cdm.ask("select device_source_value, device_exposure_start_date from device_exposure") == [
        ("14106009", date(2020, 5, 1))
    ]
    assert cdm.ask("select specimen_source_value from specimen") == [("119297000",)]
    assert cdm.ask("select note_text, note_type_concept_id from note") == [("Großer Tag", 32831)]
    assert cdm.ask("select payer_source_value, payer_plan_period_end_date from payer_plan_period") == [
        ("ACME", date(2020, 12, 31))
    ]
    sql = """select total_charge, total_paid, paid_by_payer, paid_by_patient, visit_start_date from cost
        join visit_occurrence on visit_occurrence_id = cost_event_id"""
    assert cdm.ask(sql) == [(100.0, 100.0, 70.0, 30.0, date(2020, 5, 1))]
    sql = "select observation_period_start_date, observation_period_end_date from observation_period"
    assert cdm.ask(sql) == [(date(2020, 5, 1), date(2020, 5, 2))]


def test_what_the_cdm_cannot_tell_is_counted_by_reason(cdm: Cdm) -> None:
    undated = condition("c1", code("1"))
    del undated["onsetDateTime"]
    made = cdm.of(person(), undated, condition("c2", code("1")) | {"subject": ref("Group/g")})
    assert made.dropped == [
        ("condition_occurrence", "no condition_start_date", 1),
        ("condition_occurrence", "no person_id", 1),
    ]


def test_a_second_build_does_nothing_and_a_fresh_one_gives_equal_tables(cdm: Cdm) -> None:
    assert cdm.of(person(), condition("c1", code("1")), result("o1", valueString="x")).is_new
    first = contents(cdm.file)
    assert not cdm.again().is_new
    assert cdm.again(is_fresh=True).is_new
    assert contents(cdm.file) == first


def test_an_id_stays_when_others_come_and_leads_back_to_its_resource(cdm: Cdm) -> None:
    cdm.of(person(), condition("c5", code("1")))
    before = cdm.ask("select condition_occurrence_id from condition_occurrence")
    cdm.of(condition("c1", code("2")))
    after = "select condition_occurrence_id from condition_occurrence where condition_source_value = '1'"
    assert cdm.ask(after) == before
    lineage = (
        f"select source from careloom.key where table_name = 'condition_occurrence' and id = {before[0][0]}"
    )
    assert cdm.ask(lineage) == [("Condition/c5",)]
    cdm.shore.delete("Condition", "c5")
    cdm.again()
    assert cdm.ask("select condition_source_value from condition_occurrence") == [("2",)]


CONCEPT = """concept_id|concept_name|domain_id|vocabulary_id|concept_class_id|standard_concept|concept_code|valid_start_date|valid_end_date|invalid_reason
1|Old word|Condition|ICD10CM|ICD10 code||A1|19700101|20991231|
2|A "disease"|Condition|SNOMED|Disorder|S|11|19700101|20991231|
3|Another|Condition|SNOMED|Disorder|S|12|19700101|20991231|
4|A finding|Measurement|SNOMED|Finding|S|13|19700101|20991231|
5|Pulse|Measurement|LOINC|Lab Test|S|8867-4|19700101|20991231|
6|per minute|Unit|UCUM|Unit|S|/min|19700101|20991231|
7|Brand|Drug|RxNorm|Clinical Drug|S|77|19700101|20991231|
8|Substance|Drug|RxNorm|Ingredient|S|88|19700101|20991231|
9|Gone|Condition|SNOMED|Disorder||14|19700101|20200101|U
"""
RELATION = """concept_id_1|concept_id_2|relationship_id|valid_start_date|valid_end_date|invalid_reason
1|2|Maps to|19700101|20991231|
1|3|Maps to|19700101|20991231|
9|2|Maps to|19700101|20200101|D
"""
ANCESTOR = """ancestor_concept_id|descendant_concept_id|min_levels_of_separation|max_levels_of_separation
8|7|1|1
8|8|0|0
"""


@pytest.fixture
def mapped(cdm: Cdm, tmp_path: Path) -> Cdm:
    cdm.vocabulary = tmp_path / "athena"
    cdm.vocabulary.mkdir()
    for name, text in (
        ("CONCEPT", CONCEPT),
        ("CONCEPT_RELATIONSHIP", RELATION),
        ("CONCEPT_ANCESTOR", ANCESTOR),
    ):
        (cdm.vocabulary / f"{name}.csv").write_text(text.replace("|", "\t"))
    return cdm


def test_codes_are_mapped_to_all_their_standard_concepts_and_go_to_the_table_of_their_domain(
    mapped: Cdm,
) -> None:
    icd = "http://hl7.org/fhir/sid/icd-10-cm"
    both = {"coding": [*code("14")["coding"], *code("A1", icd)["coding"]]}
    unit = {"value": 60, "unit": "beats", "system": "http://unitsofmeasure.org", "code": "/min"}
    made = mapped.of(
        person(), condition("c1", both), condition("c2", code("13")), condition("c3", code("unknown")),
        result("o1", valueQuantity=unit),
    )  # fmt: skip
    sql = """select condition_concept_id, condition_source_concept_id, condition_source_value from condition_occurrence
        order by 1"""
    # The first coding is no longer valid and leads nowhere: the second speaks, and means two things.
    assert mapped.ask(sql) == [(0, 0, "unknown"), (2, 1, "A1"), (3, 1, "A1")]
    sql = (
        "select measurement_concept_id, unit_concept_id, measurement_source_value from measurement order by 1"
    )
    assert mapped.ask(sql) == [(4, None, "13"), (5, 6, "8867-4")]
    told = {each.table: (each.rows, each.mapped, each.values, each.mapped_values) for each in made.coverage}
    assert told["condition_occurrence"] == (3, 2, 2, 1)
    # This vocabulary has none of the concepts that careloom gives by itself, and the build says so of each.
    assert {what for _, what in made.unknown} == {"is not in it"}
    assert 8532 in {each.concept_id for each, _ in made.unknown}
    assert mapped.ask("select concept_name from concept where concept_id = 2") == [('A "disease"',)]


def test_an_era_joins_what_is_at_most_thirty_days_apart(mapped: Cdm) -> None:
    ill = [
        condition(f"c{n}", code("11"), onsetDateTime=start, abatementDateTime=end)
        for n, (start, end) in enumerate(
            [("2020-01-01", "2020-03-01"), ("2020-01-10", "2020-01-12"), ("2020-03-31", "2020-04-01"), ("2020-05-02", "2020-05-03")]
        )
    ]  # fmt: skip
    taken: list[Resource] = [
        {"resourceType": "MedicationStatement", "id": f"m{n}", "status": "completed", "subject": ref("Patient/p1"),
         "medicationCodeableConcept": code("77", "http://www.nlm.nih.gov/research/umls/rxnorm"),
         "effectivePeriod": {"start": start, "end": end}}
        for n, (start, end) in enumerate([("2020-01-01", "2020-01-10"), ("2020-01-21", "2020-01-31")])
    ]  # fmt: skip
    mapped.of(person(), *ill, *taken)
    sql = "select condition_era_start_date, condition_era_end_date, condition_occurrence_count from condition_era order by 1"
    # 30 days from 1 March to 31 March; 31 days from 1 April to 2 May.
    assert mapped.ask(sql) == [
        (date(2020, 1, 1), date(2020, 4, 1), 3),
        (date(2020, 5, 2), date(2020, 5, 3), 1),
    ]
    sql = "select drug_concept_id, drug_era_start_date, drug_era_end_date, drug_exposure_count, gap_days from drug_era"
    assert mapped.ask(sql) == [(8, date(2020, 1, 1), date(2020, 1, 31), 2, 10)]


def test_a_vocabulary_that_comes_later_maps_what_stands_and_keeps_persons(mapped: Cdm) -> None:
    folder, mapped.vocabulary = mapped.vocabulary, None
    mapped.of(person(), condition("c2", code("13")))
    assert mapped.ask("select count(*) from measurement") == [(0,)]
    mapped.vocabulary = folder
    assert mapped.again().is_new
    assert mapped.ask("select measurement_concept_id, person_id from measurement") == [(4, 1)]


def test_a_vocabulary_folder_that_lacks_a_file_is_named_and_the_old_tables_stay(mapped: Cdm) -> None:
    mapped.of(person(), condition("c2", code("13")))
    assert mapped.vocabulary
    (mapped.vocabulary / "CONCEPT.csv").unlink()
    with pytest.raises(OutcomeError, match=r"lacks CONCEPT\.csv"):
        mapped.again()
    assert mapped.ask("select measurement_concept_id from measurement") == [(4,)]


def test_who_may_not_read_all_clinical_data_builds_no_cdm(cdm: Cdm) -> None:
    cdm.of(person())
    with pytest.raises(OutcomeError, match="clinical"):
        build(cdm.shore.lake, cdm.file, actor=Actor("clerk", frozenset({"clerk"})))


def test_the_tables_that_are_filled_are_those_of_the_specification(cdm: Cdm) -> None:
    cdm.of(person())
    sql = "select table_name, list(column_name order by column_index) from duckdb_columns() where database_name = 'cdm' and schema_name = 'main' group by 1"
    assert dict(cdm.ask(sql)) == {
        name: [field.name for field in table.fields] for name, table in tables().items()
    }


def test_the_generated_facts_are_those_of_the_published_files(tmp_path: Path) -> None:
    published = settings_from().conformance / "omop"
    if not published.exists():
        pytest.skip("omop is absent")
    script = Path(__file__).parents[2] / "scripts/omop_facts.py"
    runpy.run_path(str(script))["main"](published, tmp_path)
    for name in ("cdm.tsv", "kinds.tsv", "checks.tsv"):
        assert (tmp_path / name).read_bytes() == (HERE / name).read_bytes()
