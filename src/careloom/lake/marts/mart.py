"""lake.marts.mart: a DuckDB with the marts in it, as of now or of a time, each computed when it is asked for.

Room: lake. May import: lake, duckdb.

The marts are temporary tables of one connection: they are as fresh as the lake, and as of a time they say what was
known then, as they are made of the lake as it was. For a statement that somebody asks (lake.sandbox) they are views
instead, in a schema of their own, over what the asker may see: nothing is computed until a row is wanted.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.lake.lake import Lake
from careloom.lake.omop.concept import relations
from careloom.lake.omop.facts import HERE as OMOP
from careloom.lake.reading import literal
from careloom.lake.sight import When
from careloom.store.actor import STATION, Actor

HERE = Path(__file__).parent
MARTS = ("persons", "stays", "readmissions", "utilisation", "chronic_conditions")
"""Each may be made of those before it."""

TYPES = ("Condition", "Encounter", "ExplanationOfBenefit", "Patient", "Person", "Procedure")

_PERSON = frozenset({"Patient", "Person"})
READS: dict[str, frozenset[str]] = {
    "persons": _PERSON,
    "stays": _PERSON | {"Encounter"},
    "readmissions": frozenset(TYPES),
    "utilisation": _PERSON | {"Encounter", "ExplanationOfBenefit", "Procedure"},
    "chronic_conditions": _PERSON | {"Condition"},
}
"""The types whose rows each of them is made of; `readmissions` also asks for the day of the data."""


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
    duck = lake.connection(actor, when=when, types=TYPES, may_lack=True)
    for statement in _statements(names, chronic):
        duck.execute(statement)
    return duck


def views(names: Sequence[str], chronic: Path = HERE / "chronic.toml") -> list[str]:
    """Statements that make these marts views of the schema `marts`, in a DuckDB that has TYPES as views of `main`."""
    made = (_MACRO.sub("create or replace macro ", one, count=1) for one in _statements(names, chronic))
    # In a view of a schema a name is looked for in that schema first: so they find one another.
    return ["create schema marts", *(_TABLE.sub("create view marts.", one, count=1) for one in made)]


def needed(names: Sequence[str]) -> Sequence[str]:
    """These, and those that they may be made of."""
    return MARTS[: max((MARTS.index(name) for name in names), default=-1) + 1]


_TABLE = re.compile(r"\bcreate temp table ")
_MACRO = re.compile(r"\bcreate or replace temp macro ")


def _statements(names: Sequence[str], chronic: Path) -> Iterator[str]:
    """One by one, those of the marts that these are made of before them."""
    days = " union all ".join(f'select max(last_updated) as latest from main."{rtype}"' for rtype in TYPES)
    yield (
        "create temp table release as select coalesce(cast(max(latest) at time zone 'UTC' as date), date '1970-01-01')"
        f" as day from ({days})"
    )
    yield from _split((OMOP / "etl/words.sql").read_text())
    yield from relations()
    yield from _split((OMOP / "etl/identity.sql").read_text())
    yield _conditions(chronic)
    for name in needed(names):
        yield from _split((HERE / f"{name}.sql").read_text())


def _split(script: str) -> Iterator[str]:
    for statement in duckdb.extract_statements(script):
        yield statement.query


def _conditions(file: Path) -> str:
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
    values = [f"({literal(name)}, {is_rubric}, {literal(code)})" for name, is_rubric, code in rows]
    # A site may follow no condition at all; the columns have their types all the same.
    lines = ", ".join(values or ["(null::varchar, null::boolean, null::varchar)"])
    return (
        f"create temp table chronic as select * from (values {lines}) t(condition, is_rubric, code)"
        " where condition is not null"
    )
