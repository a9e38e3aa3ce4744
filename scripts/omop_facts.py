"""The facts of OMOP CDM 5.4 and of the DataQualityDashboard's checks, from the CSV files that OHDSI publishes.

    python scripts/omop_facts.py FOLDER

FOLDER has `cdm/OMOP_CDMv5.4_{Table,Field}_Level.csv` of github.com/OHDSI/CommonDataModel and
`dqd/OMOP_CDMv5.4_{Check_Descriptions,Table_Level,Field_Level,Concept_Level}.csv` of
github.com/OHDSI/DataQualityDashboard, both Apache-2.0. Names, types and thresholds are taken; their prose is not.
"""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path

OUT = Path(__file__).parent.parent / "src/careloom/lake/omop"
CDM = "cdm/OMOP_CDMv5.4_{}_Level.csv"
DQD = "dqd/OMOP_CDMv5.4_{}.csv"
NONE = {"", "NA"}

ARGUMENT = {
    "isForeignKey": ("fkTableName", "fkFieldName"),
    "fkDomain": ("fkDomain",),
    "fkClass": ("fkClass",),
    "sourceValueCompleteness": ("standardConceptFieldName",),
    "plausibleValueLow": ("plausibleValueLow",),
    "plausibleValueHigh": ("plausibleValueHigh",),
    "plausibleTemporalAfter": ("plausibleTemporalAfterTableName", "plausibleTemporalAfterFieldName"),
    "plausibleStartBeforeEnd": ("plausibleStartBeforeEndFieldName",),
    "plausibleGender": ("plausibleGender",),
    "plausibleGenderUseDescendants": ("plausibleGenderUseDescendants",),
    "plausibleUnitConceptIds": ("plausibleUnitConceptIds",),
}
"""Check -> the columns that it also needs."""


def main(folder: Path, out: Path = OUT) -> None:
    """Write the three files."""
    tables = {row["cdmTableName"]: row for row in read(folder / CDM.format("Table"))}
    fields = read(folder / CDM.format("Field"))
    write(out / "cdm.tsv", [field(row, tables[row["cdmTableName"]]["schema"]) for row in fields])
    kinds = read(folder / DQD.format("Check_Descriptions"))
    named = ("checkName", "checkLevel", "kahnContext", "kahnCategory", "kahnSubcategory", "severity")
    write(out / "kinds.tsv", [[kind[name] for name in named] for kind in kinds])
    write(
        out / "checks.tsv",
        [line for level in ("Table", "Field", "Concept") for line in checks(folder, level, kinds)],
    )


def field(row: dict[str, str], schema: str) -> list[str]:
    """Table, schema, name, type, flags (R required, P primary key), and what it refers to."""
    references = f"{row['fkTableName']}.{row['fkFieldName']}".lower() if row["isForeignKey"] == "Yes" else ""
    flags = "R" * (row["isRequired"] == "Yes") + "P" * (row["isPrimaryKey"] == "Yes")
    name = row["cdmFieldName"].strip('"')
    return [row["cdmTableName"], schema, name, row["cdmDatatype"].lower(), flags, references]


def checks(folder: Path, level: str, kinds: list[dict[str, str]]) -> list[list[str]]:
    """One line for each table, field or concept: its checks as `name threshold argument ...`, joined by `;`."""
    lines: list[list[str]] = []
    for row in read(folder / DQD.format(f"{level}_Level")):
        found = [
            check(kind["checkName"], row)
            for kind in kinds
            if kind["checkLevel"] == level.upper() and applies(kind["evaluationFilter"], row)
        ]
        if found:
            place = [row["cdmTableName"], row.get("cdmFieldName", ""), row.get("conceptId", "")]
            lines.append([*(each.lower() for each in place), ";".join(found)])
    return lines


def applies(condition: str, row: dict[str, str]) -> bool:
    """Whether an evaluationFilter holds: terms `name == 'value'` or `!=`, joined by &."""
    for name, sign, wanted in re.findall(r"(\w+)\s*(==|!=)\s*'([^']*)'", condition):
        value = row.get(name, "")
        value = "" if value == "NA" else value
        if (value == wanted) != (sign == "=="):
            return False
    return True


def check(name: str, row: dict[str, str]) -> str:
    """Name, threshold in percent, and arguments."""
    threshold = row.get(f"{name}Threshold", "")
    argument = [row[column].replace(" ", "_") for column in ARGUMENT.get(name, ())]
    # An amount of 0 percent is what is meant where none is given.
    return " ".join([name, "0" if threshold in NONE else threshold, *argument])


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, rows: list[list[str]]) -> None:
    """Fields divided by tabs."""
    path.write_text("".join("\t".join(row) + "\n" for row in rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
