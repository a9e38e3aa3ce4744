"""What the server says of itself is what it does, and the page that says it is up to date."""

from __future__ import annotations

import runpy
from pathlib import Path

from careloom import registry
from careloom.web.rest.operation import operations
from careloom.web.routes import ROADS

ROOT = Path(__file__).parents[3]


def test_the_reference_is_what_its_script_writes() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "fhir_reference.py"))
    written = (ROOT / "docs" / "reference" / "fhir.md").read_text()
    assert written == script["page"](), "run python scripts/fhir_reference.py"


def test_every_operation_of_the_registry_has_its_roads() -> None:
    paths = {road.path for road in ROADS}
    for name in registry.OPERATIONS:
        assert any(path.endswith(f"${name}") for path in paths), name
    assert set(operations()) == set(registry.OPERATIONS)
