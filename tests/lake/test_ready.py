"""lake.ready: every view that comes with careloom compiles without a warning, on both engines, and is named as its file."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from careloom.fhir.outcome import OutcomeError
from careloom.lake import engine
from careloom.lake.ready import ready_view, ready_views
from careloom.lake.view.statement import compile_view


@pytest.mark.parametrize("name", ready_views())
def test_a_ready_view_compiles_without_a_warning_and_runs(name: str) -> None:
    definition = ready_view(name)
    statement = compile_view(definition)
    assert definition["name"] == name
    assert not statement.warnings
    assert statement.sql("spark")
    table = engine.tables_of([{"resourceType": statement.resource, "id": "1"}])[statement.resource]
    assert len(engine.run(engine.connect(threads=1), statement, table)) <= 1


def test_an_unknown_view_is_refused() -> None:
    with pytest.raises(OutcomeError, match="No ready view"):
        ready_view("elephant")


def test_the_ready_observation_has_what_a_laboratory_sends() -> None:
    observation = {
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        "subject": {"reference": "http://here/fhir/Patient/p/_history/2"},
        "code": {"coding": [{"system": "http://loinc.org", "code": "4548-4", "display": "HbA1c"}]},
        "effectiveDateTime": "2026-01-02",
        "valueQuantity": {"value": 6.5, "unit": "%"},
        "referenceRange": [{"high": {"value": 5.7}}],
    }
    table = engine.tables_of([observation])["Observation"]
    [row] = engine.run(engine.connect(threads=1), compile_view(ready_view("observation")), table)
    held = {name: value for name, value in row.items() if value is not None}
    assert held == {
        "id": "o", "patient_id": "p", "status": "final", "code_system": "http://loinc.org", "code_code": "4548-4",
        "code_display": "HbA1c", "effective": "2026-01-02", "effective_at": datetime(2026, 1, 2, tzinfo=UTC), "value": 6.5, "value_unit": "%", "reference_high": 5.7,
    }  # fmt: skip
