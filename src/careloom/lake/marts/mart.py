"""lake.marts.mart: a DuckDB with the marts in it, as of now or of a time, each computed when it is asked for.

Room: lake. May import: lake, duckdb.

The marts are temporary tables of one connection: they are as fresh as the lake, and as of a time they say what was
known then, as they are made of the lake as it was.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

import duckdb

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.lake.lake import Lake
from careloom.lake.omop.build import release_of, run_script
from careloom.lake.omop.concept import relations
from careloom.lake.omop.facts import HERE as OMOP
from careloom.lake.sight import When
from careloom.store.actor import STATION, Actor

HERE = Path(__file__).parent
MARTS = ("persons", "stays", "readmissions", "utilisation", "chronic_conditions")
"""Each may be made of those before it."""

TYPES = ("Condition", "Encounter", "ExplanationOfBenefit", "Patient", "Person", "Procedure")


def marts(
    lake: Lake,
    names: Sequence[str] = MARTS,
    *,
    actor: Actor = STATION,
    when: When = None,
    chronic: Path = HERE / "chronic.toml",
) -> duckdb.DuckDBPyConnection:
    """A connection of its own with these marts (and those they are made of) as tables; close it after use.

    `chronic`: the file that says which conditions are chronic. Raises OutcomeError: forbidden, not-found, invalid.
    """
    if unknown := [name for name in names if name not in MARTS]:
        text = f"There is no mart '{unknown[0][:64]}'; there are: {', '.join(MARTS)}."
        raise OutcomeError(Issue("not-found", text))
    last = max((MARTS.index(name) for name in names), default=-1)
    duck = lake.connection(actor, when=when, types=TYPES, may_lack=True)
    duck.execute("set variable release = cast(? as date)", [release_of(duck, TYPES)])
    run_script(duck, (OMOP / "etl/words.sql").read_text())
    for statement in relations():
        duck.execute(statement)
    run_script(duck, (OMOP / "etl/identity.sql").read_text())
    _conditions(duck, chronic)
    for name in MARTS[: last + 1]:
        run_script(duck, (HERE / f"{name}.sql").read_text())
    return duck


def _conditions(duck: duckdb.DuckDBPyConnection, file: Path) -> None:
    duck.execute("create temp table chronic (condition varchar, is_rubric boolean, code varchar)")
    try:
        told = tomllib.loads(file.read_text("utf-8"))
        rows = [
            (name, key == "icd10", code)
            for name, codes in told.items()
            for key in ("icd10", "snomed")
            for code in codes.get(key, [])
        ]
    except (OSError, tomllib.TOMLDecodeError, AttributeError) as error:
        text = f"The file of chronic conditions {file} cannot be read: {error}."
        raise OutcomeError(Issue("invalid", text)) from None
    duck.executemany("insert into chronic values (?, ?, ?)", rows)
