"""Each home has a secret of its own, made once and readable by its owner alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from careloom.fhir.outcome import OutcomeError
from careloom.store.identity_key import NAME, identity_key, keep


def test_a_home_keeps_the_key_that_it_made_and_two_homes_have_two(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    assert identity_key(one) == identity_key(one) != identity_key(two)
    assert (one / NAME).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in one.iterdir()] == [NAME]


def test_many_who_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: identity_key(tmp_path), range(32)))) == 1


def test_a_damaged_key_and_a_home_that_cannot_be_written_are_said_so(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("short")
    with pytest.raises(OutcomeError, match="damaged"):
        identity_key(tmp_path)
    with pytest.raises(OutcomeError, match="cannot be kept"):
        identity_key(tmp_path / "nowhere")


def test_a_key_never_takes_the_place_of_another(tmp_path: Path) -> None:
    key = identity_key(tmp_path)
    with pytest.raises(FileExistsError):
        keep(tmp_path, "0" * 64)
    assert identity_key(tmp_path) == key
