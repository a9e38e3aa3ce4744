"""The official FHIRPath suite, whole: one test for each case."""

from __future__ import annotations

import pytest

from careloom.settings import settings_from
from careloom.verify.fhirpath_suite import EXCLUDED, FOLDER, Case, cases, fault

SUITE = settings_from().conformance / FOLDER
CASES = list(cases(SUITE)) if SUITE.exists() else []


@pytest.mark.conformance
@pytest.mark.skipif(not CASES, reason=f"the public suite {FOLDER} is not here; set CARELOOM_CONFORMANCE")
def test_the_suite_is_whole() -> None:
    assert len(CASES) == 935
    assert EXCLUDED.keys() <= {case.name for case in CASES}


@pytest.mark.conformance
@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            case,
            id=case.name,
            marks=[pytest.mark.xfail(reason=EXCLUDED[case.name])] if case.name in EXCLUDED else [],
        )
        for case in CASES
    ],
)
def test_an_official_case_gives_what_it_must(case: Case) -> None:
    assert fault(case) == ""
