"""The official suite of SQL on FHIR, whole, on both engines."""

from __future__ import annotations

import pytest

from careloom.lake import spark
from careloom.settings import settings_from
from careloom.verify.sql_on_fhir import check, check_spark


@pytest.mark.conformance
def test_every_official_test_passes_on_duckdb() -> None:
    [figure] = check(settings_from())
    if figure.note:
        pytest.skip(figure.note)
    assert (figure.passed, figure.failed) == (134, 0)


@pytest.mark.conformance
@pytest.mark.skipif(spark.absent() != "", reason=spark.absent() or "-")
def test_every_official_test_passes_on_spark() -> None:
    [figure] = check_spark(settings_from())
    if figure.note:
        pytest.skip(figure.note)
    assert (figure.passed, figure.failed) == (134, 0)
