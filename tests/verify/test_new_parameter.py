"""The whole check on a small store: killed half way, and then every row is found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from careloom.fhir.resource import loads
from careloom.settings import settings_from
from careloom.verify import new_parameter
from careloom.verify.replicas import replicated
from careloom.verify.search_oracle import SYNTHEA


@pytest.fixture
def archive() -> Path:
    found = settings_from().conformance / SYNTHEA
    if not found.exists():
        pytest.skip(f"{SYNTHEA} is absent")
    return found


@pytest.mark.conformance
def test_parameters_that_come_to_a_full_store_find_every_row_though_all_was_killed(archive: Path) -> None:
    settings = replace(settings_from(), conformance=archive.parent.parent, verify_rows=6_000)
    found = {one.check.partition(".")[2]: one for one in new_parameter.check(settings)}
    assert (found["rows"].value or 0) >= 6_000
    assert [found[name].value for name in ("lost", "lied", "untrue")] == [0, 0, 0]
    assert found["searches"].failed == 0
    # A note says that a check could not run, and then its figure does not hold.
    assert [one.check for one in found.values() if one.note] == []
    assert found["searches"].passed > 50


@pytest.mark.conformance
def test_the_same_bundles_under_new_ids_are_as_many_and_lead_to_one_another(
    archive: Path, tmp_path: Path
) -> None:
    for copy in (0, 1):
        assert replicated(archive, tmp_path, 1, first=copy) > 1
    first, again = (loads((tmp_path / f"{copy:03d}-00000.json").read_bytes()) for copy in (0, 1))
    urls, others = ([one["fullUrl"] for one in bundle["entry"]] for bundle in (first, again))
    assert len(urls) == len(others)
    assert set(urls).isdisjoint(others)
    patient = next(one["fullUrl"] for one in again["entry"] if one["resource"]["resourceType"] == "Patient")
    seen = [one["resource"] for one in again["entry"] if one["resource"]["resourceType"] == "Observation"]
    assert {one["subject"]["reference"] for one in seen} == {patient}
