"""ucum_units: condense the published UCUM table into src/careloom/fhir/r4/ucum.json.

Usage: python scripts/ucum_units.py ucum-essence.xml

The argument is https://github.com/ucum-org/ucum/blob/main/ucum-essence.xml. Its licence allows any use, asks for the
notice that is written into the file, and forbids to change what a code means: nothing is changed here.
"""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

TARGET = Path(__file__).parent.parent / "src" / "careloom" / "fhir" / "r4" / "ucum.json"
NOTICE = (
    "This product includes all or a portion of the UCUM table, UCUM codes, and UCUM definitions or is derived from it, "
    "subject to a license from Regenstrief Institute, Inc. and The UCUM Organization. The UCUM table, UCUM codes, and "
    "UCUM definitions are copyright (c) 1999 Regenstrief Institute, Inc. and The UCUM Organization, Indianapolis, IN. "
    "All rights reserved. The table is provided as is; no warranty is given. https://ucum.org/license"
)
NAMESPACE = {"u": "http://unitsofmeasure.org/ucum-essence"}


def main(arguments: list[str]) -> None:
    """Write ucum.json: prefixes, base units, and every other unit as [value, unit, flags]."""
    if len(arguments) != 1:
        sys.exit(__doc__)
    root = ET.parse(arguments[0]).getroot()
    units = {unit.attrib["Code"]: _unit(unit) for unit in root.findall("u:unit", NAMESPACE)}
    table = {
        "notice": f"UCUM {root.attrib['version']}. {NOTICE}",
        "prefixes": {
            prefix.attrib["Code"]: prefix.find("u:value", NAMESPACE).attrib["value"]
            for prefix in root.findall("u:prefix", NAMESPACE)
        },
        "base": [base.attrib["Code"] for base in root.findall("u:base-unit", NAMESPACE)],
        "units": units,
    }
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in units.items())
    head = json.dumps({key: value for key, value in table.items() if key != "units"}, indent=0)[:-2]
    TARGET.write_text(f'{head},\n"units": {{\n{lines}\n}}\n}}\n', "utf-8")
    print(f"{TARGET.name}: {len(units)} units")


def _unit(unit: ET.Element) -> list[str]:
    """Value, unit, and the flags: m metric, a arbitrary, s special (its value is then a function of the unit)."""
    value = unit.find("u:value", NAMESPACE)
    function = value.find("u:function", NAMESPACE)
    flags = "".join(
        name[2].lower() for name in ("isMetric", "isArbitrary", "isSpecial") if unit.attrib.get(name) == "yes"
    )
    if function is not None:
        return [function.attrib["value"], function.attrib["Unit"], flags]
    return [value.attrib["value"], value.attrib["Unit"], flags]


if __name__ == "__main__":
    main(sys.argv[1:])
