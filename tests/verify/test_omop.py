"""The CDM is the published one; the reference and twenty patients of Synthea go into it."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from careloom.flow import Flow
from careloom.settings import Settings, settings_from
from careloom.store.database import Database
from careloom.verify import omop
from careloom.verify.figure import Figure, floors, judged

FOLDER = settings_from().conformance


def held(figure: Figure) -> bool:
    return judged(figure, floors(), 0).ok


@pytest.mark.conformance
@pytest.mark.skipif(not (FOLDER / omop.PUBLISHED).exists(), reason="omop/cdm is absent")
def test_the_printed_tables_are_the_published_ones() -> None:
    figures = list(omop.of_ddl(FOLDER))
    assert all(map(held, figures))
    ours, theirs = omop.statements(FOLDER, "duckdb")
    assert ours == theirs


@pytest.mark.conformance
@pytest.mark.skipif(not (FOLDER / omop.EUNOMIA).exists(), reason="omop/eunomia is absent")
def test_the_reference_loads_and_what_is_known_of_it_is_found() -> None:
    figures = {figure.check: figure for figure in omop.of_eunomia(FOLDER)}
    assert figures["omop.eunomia-no-unit"].value == 7.73
    assert figures["omop.eunomia-outside"].value == 1
    assert all(map(held, figures.values()))


@pytest.mark.conformance
@pytest.mark.skipif(not (FOLDER / omop.SYNTHEA).exists(), reason="patients is absent")
def test_twenty_patients_of_synthea_become_rows_of_the_cdm_twice_alike(
    database: Database, tmp_path: Path
) -> None:
    flow = Flow(database, Settings(home=tmp_path))
    for body in islice(omop.bodies(FOLDER / omop.SYNTHEA), 20):
        flow.transact(body, omop.CLIENT)
    figures = {figure.check: figure for figure in omop.of_store(database, tmp_path / "lake")}
    # The floor of rows is that of all patients.
    rows = figures.pop("omop.synthea-rows").value
    assert rows is not None
    assert rows > 4_500
    assert [name for name, figure in figures.items() if not held(figure)] == []
