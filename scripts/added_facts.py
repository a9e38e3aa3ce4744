"""added_facts: the resource types that R4 does not have, as src/careloom/fhir/added/{facts,structures,summary}.json.

Usage: PYTHONPATH=src python scripts/added_facts.py

Each file of scripts/added is a Bundle: the StructureDefinition of a type, without prose, and its SearchParameters. It
says what the standard says that the type is of. The three files have the forms of those in fhir/r4, and are read beside
them; numbers of search parameters are appended to fhir/r4/search-ids.json, which rows in databases hold.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from r4_facts import R4, condensed
from r4_structures import condensed as condensed_structures

from careloom.fhir.profile.structures import Structures

ADDED = R4.parent / "added"
SOURCES = Path(__file__).parent / "added"

Json = dict[str, Any]


def main() -> None:
    """Write what is read beside the facts of R4."""
    ids_path = R4 / "search-ids.json"
    texts, ids = made(json.loads(ids_path.read_text("utf-8")))
    ADDED.mkdir(exist_ok=True)
    for name, text in texts.items():
        (ADDED / name).write_text(text, "utf-8")
    ids_path.write_text(ids, "utf-8")
    print(", ".join(f"{name} {len(text):,} characters" for name, text in texts.items()))


def made(known_ids: dict[str, int]) -> tuple[dict[str, str], str]:
    """Name of a file -> its text; and that of search-ids.json."""
    resources = [
        entry["resource"]
        for path in sorted(SOURCES.glob("*.json"))
        for entry in json.loads(path.read_text("utf-8"))["entry"]
    ]
    types = [one for one in resources if one["resourceType"] == "StructureDefinition"]
    parameters = [one for one in resources if one["resourceType"] == "SearchParameter"]
    whole = [_with_snapshot(one) for one in types]
    facts, ids = condensed([*whole, *parameters, *_bound()], known_ids)
    found = json.loads(facts)
    # What R4 has stands with R4: here are the names that its list of resource types lacks.
    found["codes"] = {"resource-types": {"http://hl7.org/fhir/resource-types": [one["id"] for one in types]}}
    texts = {
        "facts.json": _lines(found),
        "structures.json": condensed_structures(types),
        "summary.json": json.dumps(_summary(whole), indent=0) + "\n",
    }
    return texts, ids


def _with_snapshot(structure: Json) -> Json:
    elements = Structures([structure]).elements(structure["url"]) or []
    return {**structure, "snapshot": {"element": elements}}


def _bound() -> list[Json]:
    """The value sets of R4 that a required binding may name: their codes stand in r4/facts.json."""
    codes = json.loads((R4 / "facts.json").read_text("utf-8"))["codes"]
    return [
        {
            "resourceType": "ValueSet",
            "url": f"http://hl7.org/fhir/ValueSet/{name}",
            "compose": {
                "include": [
                    {"system": system, "concept": [{"code": code} for code in members]}
                    for system, members in systems.items()
                ]
            },
        }
        for name, systems in codes.items()
    ]


def _summary(structures: list[Json]) -> dict[str, list[str]]:
    """What each type marks itself, after what every resource has in its summary."""
    owners: dict[str, list[str]] = {}
    for structure in structures:
        owners[structure["type"]] = ["id", "meta", "implicitRules"]
        for element in structure["differential"]["element"]:
            owner, dot, name = element["path"].rpartition(".")
            if dot and element.get("isSummary"):
                owners.setdefault(owner, []).append(name)
    return owners


def _lines(facts: Json) -> str:
    """One line for each key of the second level, so that a change can be read as a diff."""
    sections = [
        json.dumps(name)
        + ": {\n"
        + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in part.items())
        + "\n}"
        for name, part in facts.items()
    ]
    return "{\n" + ",\n".join(sections) + "\n}\n"


if __name__ == "__main__":
    main()
