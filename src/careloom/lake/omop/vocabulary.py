"""lake.omop.vocabulary: the CSV files of a download from Athena, taken into the tables of the CDM.

Room: lake. May import: lake.omop, duckdb. https://athena.ohdsi.org, https://ohdsi.github.io/CommonDataModel/cdm54.html#VOCABULARY

Athena's files are divided by tabs and know no quotation marks; other distributions of OHDSI use commas. Dates are
20240131 or 2024-01-31.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.lake.omop.facts import CdmField, CdmTable, tables
from careloom.lake.reading import literal

REQUIRED = ("concept", "concept_relationship")


def fingerprint(folder: Path | None) -> str:
    """By what it is known whether the files changed: their names, sizes and times; empty without a folder."""
    if folder is None:
        return ""
    found = _files(folder)
    return "; ".join(
        f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}" for _, path in sorted(found.items())
    )


def load_vocabulary(duck: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Fill the tables of the vocabulary, which are empty. Raises OutcomeError where files lack or cannot be read."""
    found = _files(folder)
    if missing := [name.upper() + ".csv" for name in REQUIRED if name not in found]:
        text = f"The vocabulary folder {folder} lacks {' and '.join(missing)}: unpack a download from Athena there."
        raise OutcomeError(Issue("not-found", text))
    for name, path in found.items():
        read_table(duck, tables()[name], path)


def read_table(duck: duckdb.DuckDBPyConnection, table: CdmTable, path: Path) -> None:
    """Fill one table of the CDM with a CSV file that has its columns, in any order and any case."""
    with path.open(encoding="utf-8-sig") as file:
        header = file.readline().rstrip("\r\n")
    delimiter, quote = ("\t", "") if "\t" in header else (",", '"')
    named = {name.strip('" ').lower(): name.strip('" ') for name in header.split(delimiter)}
    fields = [field for field in table.fields if field.name in named]
    names = ", ".join(f'"{field.name}"' for field in fields)
    values = ", ".join(_value(field, named[field.name]) for field in fields)
    try:
        duck.execute(
            f"insert into cdm.{table.name} ({names}) select {values} from read_csv({literal(path)}, header = true,"
            f" all_varchar = true, delim = '{delimiter}', quote = '{quote}', escape = '{quote}', strict_mode = false)"
        )
    except duckdb.Error as error:
        # The text of a fault in a file may hold a line of it.
        text = f"The file {path.name} cannot be read as {table.name} of the CDM ({type(error).__name__})."
        raise OutcomeError(Issue("invalid", text)) from None


def _files(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        text = f"The vocabulary folder {folder} does not exist: see the setting omop_vocabulary."
        raise OutcomeError(Issue("not-found", text))
    names = {path.stem.lower(): path for path in folder.iterdir() if path.suffix.lower() == ".csv"}
    return {
        name: names[name] for name, table in tables().items() if table.schema == "VOCAB" and name in names
    }


def _value(field: CdmField, name: str) -> str:
    text = f'"{name}"'
    if field.type.startswith("varchar"):
        # A required text may be empty ('' is how Athena writes it), another one is then null.
        return f"coalesce({text}, '')" if field.is_required else f"nullif({text}, '')"
    value = f"nullif({text}, '')"
    if field.type == "date":
        return f"coalesce(try_strptime({value}, '%Y%m%d')::date, cast({value}[:10] as date))"
    return f"cast({value} as {'timestamp' if field.type == 'datetime' else 'double' if field.type == 'float' else 'integer'})"
