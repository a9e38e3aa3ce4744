"""The checks of the lake in a small size; `careloom verify` runs them whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from careloom.settings import Settings
from careloom.verify import lake_asof, lake_incremental, lake_lineage, rls
from careloom.verify.figure import Figure

NO_SUITE = Settings(conformance=Path("nowhere"))


def by_name(figures: list[Figure]) -> dict[str, Figure]:
    return {figure.check.partition(".")[2]: figure for figure in figures}


@pytest.mark.conformance
def test_twenty_times_of_a_small_lake_equal_a_replay() -> None:
    found = by_name(lake_asof.check(NO_SUITE, messages=30, changes=60))
    assert (found["times"].passed, found["times"].failed, found["now"].passed) == (20, 0, 1)


@pytest.mark.conformance
def test_a_few_kills_leave_the_tables_of_a_clean_build() -> None:
    found = by_name(lake_incremental.check(NO_SUITE, messages=200, kills=3, torn=2))
    assert (found["kills"].passed, found["half-batches-seen"].value) == (3, 0)
    assert found["tables-after-kills"].failed == found["tables-after-compaction"].failed == 0
    assert found["tables-after-kills"].passed >= 4
    assert (found["one-row-a-change"].passed, found["one-row-a-change"].failed) == (20, 0)
    assert found["other-files-touched"].value == 0


@pytest.mark.conformance
def test_cells_of_messages_open_their_fields() -> None:
    found = by_name(lake_lineage.check(NO_SUITE, messages=30, cells=20))
    assert (found["cells"].passed, found["cells"].failed) == (20, 0)


@pytest.mark.conformance
def test_forty_statements_of_sql_show_nothing_of_others() -> None:
    found = by_name(rls.check(NO_SUITE, statements=40))
    assert (found["statements"].passed, found["statements"].failed, found["foreign"].value) == (40, 0, 0)
    assert (found["answered"].value or 0) >= 15
    assert (found["flight"].passed, found["flight-foreign"].value) == (40, 0)
    assert (found["flight-rows"].value or 0) > 0
