from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from careloom.fhir.outcome import OutcomeError
from careloom.store.blobs import Blobs


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_what_is_put_is_read_and_the_same_bytes_have_one_name(tmp_path: Path, content: bytes) -> None:
    blobs = Blobs(tmp_path / "blobs")
    name = blobs.put(content).name
    assert blobs.put(content) == (name, len(content))
    assert blobs.read(name) == content
    assert name in set(blobs.names())


def test_altered_and_missing_blobs_are_said_so(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    name = blobs.put(b"as it was").name
    blobs.path(name).write_bytes(b"as it is")
    with pytest.raises(OutcomeError, match="altered"):
        blobs.read(name)
    blobs.path(name).unlink()
    with pytest.raises(OutcomeError, match="missing"):
        blobs.read(name)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_text("a file where the folder should be")
    with pytest.raises(OutcomeError, match="cannot be written"):
        Blobs(tmp_path / "blobs").put(b"x")
