"""The guides that the settings name are read once, and a missing one is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from careloom.fhir.outcome import OutcomeError
from careloom.fhir.resource import dumps
from careloom.flow.guides import profiles_of
from careloom.settings import Settings

URL = "http://example.org/born"
BORN = {
    "resourceType": "StructureDefinition",
    "url": URL,
    "name": "Born",
    "type": "Patient",
    "kind": "resource",
    "snapshot": {
        "element": [
            {"id": "Patient", "path": "Patient", "min": 0, "max": "*"},
            {"id": "Patient.birthDate", "path": "Patient.birthDate", "min": 1, "max": "1"},
        ]
    },
}


def test_the_profiles_of_several_guides_are_known(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(dumps(BORN))
    (tmp_path / "b.json").write_bytes(dumps({**BORN, "url": "urn:b"}))
    settings = Settings(guides=f"{tmp_path / 'a.json'}, {tmp_path / 'b.json'}")
    assert URL in profiles_of(settings)
    assert "urn:b" in profiles_of(settings)
    assert profiles_of(settings) is profiles_of(settings)
    assert URL not in profiles_of(Settings())


def test_a_guide_that_is_not_there_is_named() -> None:
    with pytest.raises(OutcomeError, match=r"nowhere\.tgz"):
        profiles_of(Settings(guides="/nowhere.tgz"))
