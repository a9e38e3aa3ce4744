"""An entity tag names a version, in the forms that clients send."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careloom.fhir.etag import ANY_VERSION, etag, versions_in
from careloom.fhir.outcome import OutcomeError


@given(st.integers(1, 999_999_999))
def test_a_tag_is_read_back_as_its_version(version: int) -> None:
    assert versions_in(etag(version)) == (version,)
    assert versions_in(f'"{version}"') == (version,)
    assert versions_in(str(version)) == (version,)
    assert versions_in(f'W/"7", {etag(version)}') == (7, version)
    assert version in ANY_VERSION


@pytest.mark.parametrize("text", ["W/", 'W/"x"', 'W/"1" W/"2"', 'W/"1",', "*, 1", "-1", "٣"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(OutcomeError, match="must be a version"):
        versions_in(text)
