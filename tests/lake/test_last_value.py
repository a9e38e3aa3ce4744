"""The SQL of docs/howto/last-value-per-patient.md, as it stands there, on what is hard: offsets, precision, persons."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from careloom.lake import engine, spark
from careloom.lake.ready import ready_view
from careloom.lake.view.statement import compile_view

PAGE = Path(__file__).parents[2] / "docs/howto/last-value-per-patient.md"
VIEWS = {
    "codings": "observation_coding",
    "conditions": "condition",
    "persons": "person_patient",
    "patients": "patient",
}
TERMS = "http://terminology.hl7.org/CodeSystem"


def question() -> str:
    found = re.search(r"```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    return found[1]


def hba1c(patient: str, value: float, at: str, status: str = "final", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation", "id": f"{patient}-{value}", "status": status,
        "code": {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]},
        "subject": {"reference": f"Patient/{patient}"}, "effectiveDateTime": at,
        "valueQuantity": {"value": value, "unit": "%"}, **more,
    }  # fmt: skip


def ill(patient: str, code: str, said: str = "confirmed") -> dict[str, Any]:
    return {
        "resourceType": "Condition", "id": f"c-{patient}", "subject": {"reference": f"Patient/{patient}"},
        "verificationStatus": {"coding": [{"system": f"{TERMS}/condition-ver-status", "code": said}]},
        "code": {"coding": [{"code": code}]},
    }  # fmt: skip


def person(id_: str, *patients: str, **more: Any) -> dict[str, Any]:
    links = [{"target": {"reference": f"Patient/{patient}"}} for patient in patients]
    return {"resourceType": "Person", "id": id_, "link": links, **more}


RESOURCES = [
    # The diagnosis stands in one system and the results in another.
    {"resourceType": "Patient", "id": "lab", "name": [{"family": "Chalmers", "given": ["Ada", "B"]}]},
    {"resourceType": "Patient", "id": "clinic", "name": [{"family": "Chalmers"}]},
    person("x", "clinic", "lab"), person("gone", "clinic", "other", active=False), ill("clinic", "44054006"),
    # 14:00 in UTC, which as a text is before noon; and a year, which as a text is after nothing.
    hba1c("lab", 7.1, "2026-03-01T09:00:00-05:00"), hba1c("lab", 6.0, "2026-03-01T12:00:00Z"), hba1c("lab", 5.0, "2026"),
    hba1c("lab", 9.9, "2026-03-05", "entered-in-error"), hba1c("lab", 8.8, "2026-03-06", "cancelled"),
    # A patient whom no Person links, by ICD-10, and a period instead of a moment.
    ill("alone", "E11.65"), hba1c("alone", 8.0, "2026-02"),
    {key: value for key, value in hba1c("alone", 8.5, "").items() if key != "effectiveDateTime"}
    | {"effectivePeriod": {"start": "2026-02-02T10:00:00Z", "end": "2026-02-03"}},
    # Not ill, or found not to be.
    hba1c("well", 5.1, "2026-01-01"), ill("cleared", "E11.9", "refuted"), hba1c("cleared", 5.2, "2026-01-01"),
]  # fmt: skip
ANSWER = [
    ("alone", "alone", None, 8.5, "%", "2026-02-02T10:00:00"),
    ("x", "lab", "Ada B Chalmers", 7.1, "%", "2026-03-01T14:00:00"),
]


def laid(folder: Path) -> None:
    tables = engine.tables_of(RESOURCES)
    with engine.connect(threads=1) as duck:
        for name, view in VIEWS.items():
            statement = compile_view(ready_view(view))
            engine.write(duck, statement, folder / f"{name}.parquet", "parquet", tables[statement.resource])


def test_on_duckdb_it_gives_the_last_value_of_each_person_with_diabetes(tmp_path: Path) -> None:
    laid(tmp_path)
    with engine.connect(threads=1) as duck:
        for name in VIEWS:
            duck.execute(f"create view {name} as from '{tmp_path / name}.parquet'")
        duck.execute(f"copy ({question()}) to '{tmp_path / 'answer.parquet'}'")
    assert answer(tmp_path / "answer.parquet") == ANSWER


@pytest.mark.conformance
def test_on_spark_it_gives_the_same(tmp_path: Path) -> None:
    if why := spark.absent():
        pytest.skip(why)
    laid(tmp_path)
    session = spark.session()
    try:
        for name in VIEWS:
            session.read.parquet(str(tmp_path / f"{name}.parquet")).createOrReplaceTempView(name)
        session.sql(question()).write.parquet(str(tmp_path / "answer.parquet"))
    finally:
        session.stop()
    assert answer(tmp_path / "answer.parquet") == ANSWER


def answer(path: Path) -> list[tuple[Any, ...]]:
    rows = pq.read_table(path).sort_by("person_id").to_pylist()
    return [(*list(row.values())[:5], row["measured_at"].isoformat()[:19]) for row in rows]
