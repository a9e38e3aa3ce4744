"""r4_terms: condense the code systems and value sets of FHIR R4 into src/careloom/fhir/r4/terms.json.

Usage: PYTHONPATH=src python scripts/r4_terms.py hl7.fhir.r4.examples-4.0.1.tgz

The argument is the same package that r4_facts.py reads. Codes are kept, displays are not: nobody is shown them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from r4_facts import R4, definitions

from careloom.fhir.profile.terms import is_whole, system_of

Json = dict[str, Any]


def main(arguments: list[str]) -> None:
    """Write terms.json beside facts.json."""
    if len(arguments) != 1:
        sys.exit(__doc__)
    text = condensed(definitions(Path(arguments[0])))
    (R4 / "terms.json").write_text(text, "utf-8")
    print(f"terms.json {len(text):,} characters")


def condensed(resources: list[Json]) -> str:
    """The text of terms.json: `systems` (code -> the code above) and `sets` (compose, without displays)."""
    systems = {r["url"]: system_of(r) for r in resources if r["resourceType"] == "CodeSystem" and is_whole(r)}
    sets = {r["url"]: {"compose": _compose(r["compose"])} for r in resources if _has_compose(r)}
    sections = (
        f'"{name}": {{\n{_lines(section)}\n}}' for name, section in (("systems", systems), ("sets", sets))
    )
    return "{\n" + ",\n".join(sections) + "\n}\n"


def _has_compose(resource: Json) -> bool:
    return resource["resourceType"] == "ValueSet" and "compose" in resource


def _compose(compose: Json) -> Json:
    return {key: [_include(one) for one in compose[key]] for key in ("include", "exclude") if key in compose}


def _include(include: Json) -> Json:
    kept = {key: include[key] for key in ("system", "valueSet") if key in include}
    if "concept" in include:
        kept["concept"] = [{"code": concept["code"]} for concept in include["concept"]]
    if "filter" in include:
        kept["filter"] = [{key: one[key] for key in ("property", "op", "value")} for one in include["filter"]]
    return kept


def _lines(section: Json) -> str:
    """One line for each address, so that a change can be read as a diff."""
    return ",\n".join(
        f"{json.dumps(url)}: {json.dumps(value, ensure_ascii=False, separators=(',', ':'))}"
        for url, value in sorted(section.items())
    )


if __name__ == "__main__":
    main(sys.argv[1:])
