"""A part of `careloom verify search-oracle`: fewer resources, fewer shapes, the same oracle."""

from __future__ import annotations

import pytest

from careloom.settings import settings_from
from careloom.store.actor import STATION
from careloom.store.database import Database
from careloom.store.read import Reader
from careloom.verify.archive import files
from careloom.verify.oracle import Oracle
from careloom.verify.search_oracle import (
    EXAMPLES,
    SYNTHEA,
    compared,
    examples,
    fill,
    resources,
    written_meanwhile,
    wrong,
)
from careloom.verify.shapes import Shape, Shapes

pytestmark = pytest.mark.conformance


@pytest.fixture
def filled(database: Database) -> Database:
    conformance = settings_from().conformance
    if not (conformance / SYNTHEA).exists() or not (conformance / EXAMPLES).exists():
        pytest.skip("the Synthea bundles or the R4 examples are not here; set CARELOOM_CONFORMANCE")
    bundles = [raw for _, raw in sorted(files(conformance / SYNTHEA))[:4]]
    fill(database, bundles, examples(settings_from())[::3])
    return database


def test_every_search_answers_as_one_who_looks_at_every_resource_while_nobody_and_while_somebody_writes(
    filled: Database,
) -> None:
    told = compared(filled, seed=7, number=220)
    assert len(told) > 500
    assert [(shape.text, what) for shape, what in told if what] == []
    oracle = Oracle(resources(filled))
    shapes = list(Shapes(oracle, 8).by_chance(22))
    assert [what for what in written_meanwhile(filled, oracle, shapes) if what] == []


def test_an_oracle_that_is_told_a_lie_finds_the_search_wrong(filled: Database) -> None:
    everything = list(resources(filled))
    patients = [one for one in everything if one["resourceType"] == "Patient"]
    others = [one for one in everything if one["resourceType"] != "Patient"]
    oracle = Oracle([*others, *patients[1:]])
    with filled.connection() as connection:
        assert "too many" in wrong(Reader(connection, STATION), oracle, Shape("one", "Patient", ()))
