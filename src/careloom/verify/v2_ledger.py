"""verify.v2_ledger: every ADT and ORU sample becomes valid resources or is refused with a reason, and no field is lost.

Room: verify. Reads `v2-to-fhir/ms-converter.tar.zst` of the public suites (github.com/microsoft/FHIR-Converter).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from careloom.fhir.resource import Resource
from careloom.fhir.validate import validate
from careloom.settings import Settings
from careloom.store.event import Event
from careloom.unify.hl7v2.convert import to_resources
from careloom.unify.hl7v2.message import parse
from careloom.verify.archive import files
from careloom.verify.figure import Figure

NAME = "v2-ledger"
ARCHIVE = "v2-to-fhir/ms-converter.tar.zst"
RECEIVED = datetime(2026, 1, 1, tzinfo=UTC)
_TYPE = re.compile(rb"MSH[^\r\n]*?\|(ADT|ORU)\^")


def check(settings: Settings) -> list[Figure]:
    """Figures: messages, converted, quarantined, fields by fate, unaccounted, invalid_resources."""
    archive = settings.conformance / ARCHIVE
    if not archive.exists():
        return [Figure(check=NAME, note=f"The suite {ARCHIVE} is absent: set CARELOOM_CONFORMANCE.")]
    counts: Counter[str] = Counter()
    for name, body in samples(archive):
        counts += _counted(name, body)
    names = (
        "messages", "converted", "quarantined", "fields", "mapped", "kept_raw", "rejected", "unaccounted",
        "invalid_resources", "without_reason",
    )  # fmt: skip
    return [Figure(check=f"{NAME}.{name}", value=counts[name], unit="count") for name in names]


def samples(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each HL7 v2 sample whose MSH-9 says ADT or ORU."""
    for name, body in files(archive, suffix=""):
        if "SampleData/Hl7v2/" in name and _TYPE.search(body):
            yield name, body


def _counted(name: str, body: bytes) -> Counter[str]:
    counts = Counter({"messages": 1})
    known: dict[tuple[str, str], Resource] = {}
    event = Event(1, "sample", "hl7v2", body, name, RECEIVED, "received")
    conversion = to_resources(event, lambda rtype, id_: known.get((rtype, id_)))
    if any(issue.is_error for issue in conversion.issues):
        counts["quarantined"] += 1
        counts["without_reason"] += not all(issue.text for issue in conversion.issues)
        return counts
    counts["converted"] += 1
    for stated in conversion.stated:
        counts["invalid_resources"] += any(issue.is_error for issue in validate(stated.resource))
    fields = sum(1 for _ in parse(body).leaves())
    counts["fields"] += fields
    counts.update(line.fate for line in conversion.ledger)
    counts["unaccounted"] += abs(fields - len(conversion.ledger))
    return counts
