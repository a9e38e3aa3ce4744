"""lake.omop.inspection: a CDM file looked at from outside: one made of CSV files, its checks, a digest of its tables.

Room: lake. May import: lake.omop, duckdb. For sites that bring a CDM of their own, and for `careloom verify omop`.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

from careloom.lake.omop.build import attach
from careloom.lake.omop.check import Result, run
from careloom.lake.omop.ddl import create
from careloom.lake.omop.facts import tables
from careloom.lake.omop.vocabulary import read_table
from careloom.lake.session import opened


def loaded_from(folder: Path, file: Path) -> dict[str, int]:
    """Make a CDM of CSV files named after its tables (PERSON.csv); how many rows each table has."""
    names = {path.stem.lower(): path for path in folder.iterdir() if path.suffix.lower() == ".csv"}
    with opened(file.parent) as duck:
        attach(duck, file)
        rows: dict[str, int] = {}
        for name, table in tables().items():
            duck.execute(create(table, "careloom", "cdm"))
            if name in names:
                read_table(duck, table, names[name])
            rows[name] = duck.execute(f"select count(*) from cdm.{name}").fetchall()[0][0]
        return rows


def inspected(file: Path, today: date) -> list[Result]:
    """All checks on the CDM in a file."""
    with opened(file.parent) as duck:
        attach(duck, file, is_read_only=True)
        return run(duck, today)


def contents(file: Path) -> dict[str, str]:
    """A digest of each table: equal for equal rows, in whatever order a file has them."""
    with opened(file.parent) as duck:
        attach(duck, file, is_read_only=True)
        sql = "select coalesce(md5(string_agg(row, chr(10) order by row)), '') from (select cast(t as varchar) as row from cdm.{} t)"
        return {name: duck.execute(sql.format(name)).fetchall()[0][0] for name in tables()}
