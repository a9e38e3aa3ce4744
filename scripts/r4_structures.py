"""r4_structures: condense the StructureDefinitions of FHIR R4 into src/careloom/fhir/r4/structures.json.

Usage: PYTHONPATH=src python scripts/r4_structures.py hl7.fhir.r4.examples-4.0.1.tgz

The argument is the same package that r4_facts.py reads. Only differentials are kept, without prose: the snapshots
are made from them (fhir.profile.snapshot), and `careloom verify snapshots` compares them with those published.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from r4_facts import R4, definitions

from careloom.fhir.profile.lean import lean

Json = dict[str, Any]


def main(arguments: list[str]) -> None:
    """Write structures.json beside facts.json."""
    if len(arguments) != 1:
        sys.exit(__doc__)
    text = condensed(definitions(Path(arguments[0])))
    (R4 / "structures.json").write_text(text, "utf-8")
    print(f"structures.json {len(text):,} characters")


def condensed(resources: list[Json]) -> str:
    """The text of structures.json: address -> StructureDefinition, one line for each, so that a change reads as a diff."""
    structures = [
        r for r in resources if r["resourceType"] == "StructureDefinition" and r["kind"] != "logical"
    ]
    lines = [
        f"{json.dumps(one['url'])}: {json.dumps(_condensed(one), ensure_ascii=False, separators=(',', ':'))}"
        for one in sorted(structures, key=lambda one: one["url"])
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _condensed(structure: Json) -> Json:
    found = lean(structure)
    found.pop("snapshot", None)
    for element in found["differential"]["element"]:
        if element.get("id") == element["path"]:
            del element["id"]
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
