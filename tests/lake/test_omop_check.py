"""Each kind of data quality check finds the fault that it is for, and is content without it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pytest

from careloom.lake.omop import report
from careloom.lake.omop.build import attach
from careloom.lake.omop.check import Result, checks, run
from careloom.lake.omop.ddl import create
from careloom.lake.omop.facts import tables

TODAY = date(2026, 1, 1)

SOUND = """
insert into cdm.concept values
    (1, 'Illness', 'Condition', 'SNOMED', 'Disorder', 'S', '1', date '1970-01-01', date '2099-12-31', null),
    (2, 'Ingredient', 'Drug', 'RxNorm', 'Ingredient', 'S', '2', date '1970-01-01', date '2099-12-31', null),
    (8507, 'MALE', 'Gender', 'Gender', 'Gender', 'S', 'M', date '1970-01-01', date '2099-12-31', null),
    (32817, 'EHR', 'Type Concept', 'Type Concept', 'Type Concept', 'S', 'x', date '1970-01-01', date '2099-12-31', null),
    (9202, 'Outpatient Visit', 'Visit', 'Visit', 'Visit', 'S', 'OP', date '1970-01-01', date '2099-12-31', null),
    (3013721, 'ALT', 'Measurement', 'LOINC', 'Lab Test', 'S', '1742-6', date '1970-01-01', date '2099-12-31', null),
    (8645, 'U/L', 'Unit', 'UCUM', 'Unit', 'S', 'U/L', date '1970-01-01', date '2099-12-31', null),
    (0, 'No matching concept', 'Metadata', 'None', 'Undefined', null, 'No', date '1970-01-01', date '2099-12-31', null);
insert into cdm.concept_ancestor values (4090861, 1, 1, 1);
insert into cdm.person (person_id, gender_concept_id, year_of_birth, month_of_birth, race_concept_id, ethnicity_concept_id,
    birth_datetime) values (1, 8507, 1970, 5, 0, 0, '1970-05-01');
insert into cdm.observation_period values (1, 1, '2020-01-01', '2020-12-31', 32817);
insert into cdm.visit_occurrence (visit_occurrence_id, person_id, visit_concept_id, visit_start_date, visit_end_date,
    visit_type_concept_id) values (1, 1, 9202, '2020-02-01', '2020-02-02', 32817);
insert into cdm.condition_occurrence (condition_occurrence_id, person_id, condition_concept_id, condition_start_date,
    condition_end_date, condition_type_concept_id, visit_occurrence_id, condition_source_value, condition_source_concept_id)
    values (1, 1, 1, '2020-02-01', '2020-02-03', 32817, 1, 'A', 1);
insert into cdm.condition_era values (1, 1, 1, '2020-02-01', '2020-02-03', 1);
insert into cdm.drug_era values (1, 1, 2, '2020-02-01', '2020-02-03', 1, 0);
insert into cdm.measurement (measurement_id, person_id, measurement_concept_id, measurement_date, measurement_type_concept_id,
    value_as_number, unit_concept_id, unit_source_value) values (1, 1, 3013721, '2020-02-01', 32817, 20, 8645, 'U/L');
insert into cdm.death (person_id, death_date) values (1, '2020-12-31');
"""

FAULTS = {
    "measurePersonCompleteness observation_period": "delete from cdm.observation_period",
    "measureConditionEraCompleteness condition_era": "delete from cdm.condition_era",
    "measureObservationPeriodOverlap observation_period": "insert into cdm.observation_period values (2, 1, '2021-01-01', '2021-02-01', 32817)",
    "isRequired person.gender_concept_id": "update cdm.person set gender_concept_id = null",
    "cdmDatatype person.year_of_birth": "alter table cdm.person alter year_of_birth type varchar; update cdm.person set year_of_birth = '1970.5'",
    "isPrimaryKey visit_occurrence.visit_occurrence_id": "insert into cdm.visit_occurrence select * from cdm.visit_occurrence",
    "isForeignKey condition_occurrence.visit_occurrence_id": "update cdm.condition_occurrence set visit_occurrence_id = 9",
    "isForeignKey measurement.unit_concept_id": "update cdm.measurement set unit_concept_id = 9",
    "fkDomain condition_occurrence.condition_concept_id": "update cdm.condition_occurrence set condition_concept_id = 2",
    "fkClass drug_era.drug_concept_id": "update cdm.concept set concept_class_id = 'Clinical Drug' where concept_id = 2",
    "isStandardValidConcept condition_occurrence.condition_concept_id": "update cdm.concept set standard_concept = null where concept_id = 1",
    "measureValueCompleteness person.year_of_birth": "update cdm.person set year_of_birth = null",
    "standardConceptRecordCompleteness condition_occurrence.condition_concept_id": "update cdm.condition_occurrence set condition_concept_id = 0",
    "sourceConceptRecordCompleteness condition_occurrence.condition_source_concept_id": "update cdm.condition_occurrence set condition_source_concept_id = 0",
    "sourceValueCompleteness condition_occurrence.condition_source_value": "update cdm.condition_occurrence set condition_concept_id = 0",
    "plausibleValueLow person.year_of_birth": "update cdm.person set year_of_birth = 1700",
    "plausibleValueHigh measurement.measurement_date": "update cdm.measurement set measurement_date = '2026-01-03'",
    "plausibleValueHigh person.year_of_birth": "update cdm.person set year_of_birth = 2028",
    "plausibleTemporalAfter condition_occurrence.condition_end_date": "update cdm.condition_occurrence set condition_end_date = '2020-01-31'",
    "plausibleTemporalAfter measurement.measurement_date": "update cdm.measurement set measurement_date = '1970-04-30'",
    "plausibleDuringLife condition_occurrence.condition_end_date": "update cdm.condition_occurrence set condition_end_date = '2021-03-02'",
    "withinVisitDates condition_occurrence.condition_start_date": "update cdm.condition_occurrence set condition_start_date = '2020-01-24'",
    "plausibleAfterBirth measurement.measurement_date": "update cdm.measurement set measurement_date = '1970-04-30'",
    "plausibleBeforeDeath condition_era.condition_era_end_date": "update cdm.condition_era set condition_era_end_date = '2021-03-02'",
    "plausibleStartBeforeEnd condition_occurrence.condition_start_date": "update cdm.condition_occurrence set condition_start_date = '2020-02-04'",
    "plausibleGender condition_occurrence.condition_concept_id 26662": "update cdm.condition_occurrence set condition_concept_id = 26662; update cdm.person set gender_concept_id = 8532",
    "plausibleGenderUseDescendants condition_occurrence.condition_concept_id 4090861, 4025213": "update cdm.person set gender_concept_id = 8532",
    "plausibleUnitConceptIds measurement.measurement_concept_id 3006923": "update cdm.measurement set measurement_concept_id = 3006923, unit_concept_id = 1",
    "valueWithoutUnitConcept measurement.value_as_number": "update cdm.measurement set unit_concept_id = 0",
    "valueWithoutUnit measurement.value_as_number": "update cdm.measurement set unit_concept_id = null, unit_source_value = null",
    "withinObservationPeriod measurement.measurement_date": "update cdm.measurement set measurement_date = '2019-12-31'",
    "cdmTable note": "drop table cdm.note",
    "cdmField person.location_id": "alter table cdm.person drop location_id",
}


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """A small CDM without a fault, and without the rule that a required field has a value."""
    with opened(tmp_path / "sound.duckdb") as duck:
        for table in tables().values():
            duck.execute(create(table, "careloom", "cdm").replace("NOT NULL", "NULL"))
        duck.execute(SOUND)
    return tmp_path / "sound.duckdb"


@pytest.fixture
def duck(sound: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with opened(sound) as connection:
        yield connection


def opened(file: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    attach(connection, file)
    return connection


def named(result: Result) -> str:
    place = result.check.place
    where = ".".join(part for part in (place.table, place.field) if part)
    return " ".join(part for part in (result.check.kind.name, where, place.concept) if part)


@pytest.mark.conformance
def test_each_kind_of_check_finds_its_fault_and_nothing_before(sound: Path) -> None:
    assert {name.split()[0] for name in FAULTS} == {each.kind.name for each in checks()}
    with opened(sound) as duck:
        before = {named(each): each for each in run(duck, TODAY)}
    for name, fault in FAULTS.items():
        assert before[name].status in {"passed", "not applicable"}, name
        faulty = shutil.copy(sound, sound.with_name("faulty.duckdb"))
        with opened(faulty) as duck:
            duck.execute(fault)
            found = {named(each): each for each in run(duck, TODAY)}[name]
        assert (found.status, found.violated > 0) == ("failed", True), (name, found)


def test_a_check_that_a_column_of_another_type_forbids_is_an_error_and_stops_no_other(
    duck: duckdb.DuckDBPyConnection,
) -> None:
    duck.execute("alter table cdm.measurement alter measurement_date type boolean using true")
    told = {named(each): each.status for each in run(duck, TODAY)}
    assert told["plausibleValueLow measurement.measurement_date"] == "error"
    assert told["isRequired measurement.measurement_date"] == "passed"
    assert told["isRequired measurement.person_id"] == "passed"


def test_without_a_vocabulary_what_needs_one_is_said_not_to_be_checked(
    duck: duckdb.DuckDBPyConnection,
) -> None:
    duck.execute("delete from cdm.concept")
    told = {named(each): each.status for each in run(duck, TODAY)}
    assert told["fkDomain condition_occurrence.condition_concept_id"] == "no vocabulary"
    assert told["isForeignKey measurement.unit_concept_id"] == "no vocabulary"
    assert told["isForeignKey condition_occurrence.visit_occurrence_id"] == "passed"


def test_a_threshold_is_a_part_of_the_rows_and_is_itself_allowed(duck: duckdb.DuckDBPyConnection) -> None:
    name = "standardConceptRecordCompleteness condition_occurrence.condition_concept_id"
    duck.execute("insert into cdm.condition_occurrence select t.* from cdm.condition_occurrence t, range(18)")
    duck.execute(
        "insert into cdm.condition_occurrence select t.* replace (0 as condition_concept_id) from cdm.condition_occurrence t limit 1"
    )
    at_limit = {named(each): each for each in run(duck, TODAY)}[name]
    assert (at_limit.violated, at_limit.rows, at_limit.percent, at_limit.status) == (1, 20, 5.0, "passed")
    duck.execute("update cdm.condition_occurrence set condition_concept_id = 0")
    assert {named(each): each for each in run(duck, TODAY)}[name].status == "failed"


def test_the_reports_tell_what_failed_and_hold_no_row(duck: duckdb.DuckDBPyConnection) -> None:
    duck.execute(
        "update cdm.condition_occurrence set condition_source_value = 'Kowalski', visit_occurrence_id = 9"
    )
    results = run(duck, TODAY)
    page, told = report.as_html(results, "2026-01-01"), report.as_json(results, "2026-01-01").decode()
    assert "isForeignKey" in page
    assert '"violated": 1' in told
    assert "Kowalski" not in page + told
    assert sum(report.summary(results)["all"].values()) == len(checks()) == 2544
    assert report.failed(results)[0].check.kind.severity == "fatal"
