"""Messages written for this project, and all that becomes of them: resources, ledger, issues.

`make goldens` (CARELOOM_REWRITE_GOLDENS=1) rewrites out.json; the diff is the review. Several messages in one in.hl7 are
heard one after the other.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from careloom.fhir.resource import Resource, dumps, loads
from careloom.fhir.validate import validate
from careloom.flow.arrival import merged
from careloom.store.event import Event
from careloom.unify.hl7v2.convert import to_resources
from careloom.unify.hl7v2.message import messages_in

FOLDER = Path(__file__).parents[2] / "golden" / "unify" / "hl7v2"
CASES = sorted(path.parent.name for path in FOLDER.glob("*/in.hl7"))
EVENTS = {"A01", "A02", "A03", "A04", "A08", "A11", "A13", "A31", "A40", "R01"}


def told(body: bytes) -> list[dict[str, object]]:
    """What is stated of each message in turn."""
    known: dict[tuple[str, str], Resource] = {}
    heard: list[dict[str, object]] = []
    for number, message in enumerate(messages_in(body), 1):
        event = Event(number, "ehr", "hl7v2", message, "key", datetime(2026, 3, 9, tzinfo=UTC), "received")

        def current(rtype: str, identity: str) -> Resource | None:
            found = known.get((rtype, identity))
            return found and loads(dumps(found))

        conversion = to_resources(event, current, zone=ZoneInfo("Europe/Zurich"))
        for resource in merged(conversion.stated, current):
            assert not [issue for issue in validate(resource) if issue.is_error]
            known[resource["resourceType"], resource["id"]] = loads(dumps(resource))
        heard.append(
            {
                "stated": [json.loads(dumps(stated.resource)) for stated in conversion.stated],
                "extents": [stated.extent for stated in conversion.stated],
                "ledger": [f"{line.where} {line.fate}: {line.target}" for line in conversion.ledger],
                "issues": [
                    f"{issue.severity} {issue.expression}: {issue.text}" for issue in conversion.issues
                ],
            }
        )
    return heard


@pytest.mark.parametrize("case", CASES)
def test_a_golden_message_becomes_what_was_reviewed(case: str) -> None:
    made = told((FOLDER / case / "in.hl7").read_bytes())
    out = FOLDER / case / "out.json"
    if os.environ.get("CARELOOM_REWRITE_GOLDENS"):
        out.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert made == json.loads(out.read_text(encoding="utf-8"))


def test_each_event_that_is_promised_has_a_golden_message() -> None:
    assert {case.partition("-")[0].upper() for case in CASES} >= EVENTS
    assert all((FOLDER / case / "README").is_file() for case in CASES)
