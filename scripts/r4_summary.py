"""r4_summary: which elements of R4 belong to a summary, into src/careloom/fhir/r4/summary.json.

Usage: python scripts/r4_summary.py hl7.fhir.r4.examples-4.0.1.tgz

The argument is that of r4_facts.py. Owner path ("Patient", "Patient.contact", "HumanName") -> names of the elements
that its StructureDefinition marks with isSummary.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from r4_facts import LOGICAL, R4, definitions


def main(arguments: list[str]) -> None:
    """Write summary.json beside the module that reads it."""
    if len(arguments) != 1:
        sys.exit(__doc__)
    owners: dict[str, list[str]] = {}
    for one in definitions(Path(arguments[0])):
        is_type = one["resourceType"] == "StructureDefinition" and one.get("derivation") != "constraint"
        if not is_type or one["id"] in LOGICAL or one["kind"] == "primitive-type":
            continue
        for element in one["snapshot"]["element"]:
            owner, dot, name = element["path"].rpartition(".")
            if dot and element.get("isSummary") and element["max"] != "0":
                owners.setdefault(owner, []).append(name)
    lines = [f"{json.dumps(owner)}: {json.dumps(names)}" for owner, names in sorted(owners.items())]
    (R4 / "summary.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
    print(f"summary.json: {len(owners)} owners")


if __name__ == "__main__":
    main(sys.argv[1:])
