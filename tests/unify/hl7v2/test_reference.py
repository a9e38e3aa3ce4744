"""The page on HL7 v2 says what the tables say."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_golden_page_on_hl7_v2_is_made_of_the_tables() -> None:
    spec = importlib.util.spec_from_file_location("hl7v2_reference", ROOT / "scripts" / "hl7v2_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if os.environ.get("CARELOOM_REWRITE_GOLDENS"):
        module.PAGE.write_text(module.page(), encoding="utf-8")
    assert module.PAGE.read_text(encoding="utf-8") == module.page()
