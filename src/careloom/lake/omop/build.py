"""lake.omop.build: the CDM built from the lake: set by set in SQL, all of it in one transaction of a DuckDB file.

Room: lake. May import: lake, duckdb. https://ohdsi.github.io/CommonDataModel/cdm54.html

Nothing is done where nothing changed. Else all tables are made anew: eras and periods of observation span the whole of
a person, and a whole build is minutes for millions of rows. Readers see the old tables until the new ones stand.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from hashlib import blake2b
from pathlib import Path

import duckdb

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.lake.lake import Lake
from careloom.lake.omop import load
from careloom.lake.omop.concept import Builtin, relations, settle, unknown
from careloom.lake.omop.ddl import create
from careloom.lake.omop.facts import HERE, tables
from careloom.lake.omop.vocabulary import fingerprint, load_vocabulary
from careloom.lake.reading import literal
from careloom.lake.session import opened
from careloom.store.actor import STATION, Actor

FILE = "omop.duckdb"
"""Its name in the folder of the lake. Its schema `main` is the CDM; `careloom` says what came from where."""

ORDER = (
    "location", "care_site", "provider", "person", "visit_occurrence", "visit_detail", "condition_occurrence",
    "drug_exposure", "procedure_occurrence", "device_exposure", "measurement", "observation", "death", "note",
    "specimen", "payer_plan_period", "cost", "observation_period", "condition_era", "drug_era", "cdm_source",
)  # fmt: skip
"""The tables that are filled, each after those that it refers to or is made of."""

TYPES = (
    "AllergyIntolerance", "Condition", "Coverage", "Device", "DeviceUseStatement", "DiagnosticReport",
    "DocumentReference", "Encounter", "ExplanationOfBenefit", "Immunization", "Location", "Medication",
    "MedicationAdministration", "MedicationDispense", "MedicationRequest", "MedicationStatement", "Observation",
    "Organization", "Patient", "Person", "Practitioner", "PractitionerRole", "Procedure", "Specimen",
)  # fmt: skip
"""The types that are read."""

EVENTS = ("condition", "allergy", "procedure", "device", "drug", "observation")

Told = Callable[[str, int, int], None]
"""What is made now, how many steps are done, and of how many."""


def quiet(_name: str, _done: int, _total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """How far one table is mapped to standard concepts."""

    table: str
    rows: int
    mapped: int
    """Rows whose concept is not 0."""
    values: int
    """Source values that differ."""
    mapped_values: int


@dataclass(frozen=True, slots=True)
class Built:
    """What a build made."""

    is_new: bool
    """False: nothing had changed since the last build."""
    rows: dict[str, int]
    coverage: list[Coverage]
    dropped: list[tuple[str, str, int]]
    """Table, reason and number of what could not be told in the CDM."""
    unknown: list[tuple[Builtin, str]]
    """Concepts that careloom itself gives, and that the vocabulary does not know so."""


def build(
    lake: Lake,
    file: Path,
    vocabulary: Path | None = None,
    *,
    actor: Actor = STATION,
    told: Told = quiet,
    is_fresh: bool = False,
) -> Built:
    """Bring the CDM in `file` up to what the lake has published. `is_fresh`: build even so, ids and all."""
    if is_fresh:
        file.unlink(missing_ok=True)
    state = f"{lake.published.cursor} {fingerprint(vocabulary)} {digest()}"
    with lake.connection(actor, types=TYPES, may_lack=True) as duck:
        attach(duck, file)
        is_new = _state(duck) != state
        if is_new:
            with _transaction(duck):
                _made(duck, vocabulary, told)
                duck.execute("create or replace table cdm.careloom.built as select ? as state", [state])
        return _report(duck, is_new=is_new)


def report(file: Path) -> Built:
    """What the last build made. Raises OutcomeError(not-found, lock-error)."""
    with opened(None, threads=1) as duck:
        attach(duck, file, is_read_only=True)
        return _report(duck, is_new=False)


def attach(
    duck: duckdb.DuckDBPyConnection, file: Path, *, is_read_only: bool = False, name: str = "cdm"
) -> None:
    """Let the CDM be named `cdm`, or another name. Raises OutcomeError(not-found, lock-error)."""
    if is_read_only and not file.exists():
        text = f"There is no CDM in {file}: `careloom lake omop build` makes one."
        raise OutcomeError(Issue("not-found", text))
    try:
        duck.execute(f"attach {literal(file)} as {name}{' (read_only)' if is_read_only else ''}")
    except duckdb.IOException:
        text = f"The CDM in {file} is in use by another process, or is no DuckDB file: try again later."
        raise OutcomeError(Issue("lock-error", text)) from None


def _state(duck: duckdb.DuckDBPyConnection) -> str:
    try:
        return duck.execute("select state from cdm.careloom.built").fetchall()[0][0]
    except duckdb.CatalogException:
        return ""


@contextmanager
def _transaction(duck: duckdb.DuckDBPyConnection) -> Generator[None]:
    duck.execute("begin")
    try:
        yield
    except BaseException:
        # After a fault within DuckDB itself there is nothing to roll back: the file was not written.
        with suppress(duckdb.Error):
            duck.execute("rollback")
        raise
    duck.execute("commit")


def _made(duck: duckdb.DuckDBPyConnection, vocabulary: Path | None, told: Told) -> None:
    total = len(ORDER) + len(EVENTS) + 2
    told("vocabulary", 0, total)
    _schema(duck, vocabulary)
    duck.execute("create or replace temp table known_key as from cdm.careloom.key limit 0")
    fill(duck, told)


def fill(duck: duckdb.DuckDBPyConnection, told: Told) -> None:
    """Fill the tables of `cdm`, which are empty, with what the views of the types give. `known_key`: keys whose ids stand."""
    total = len(ORDER) + len(EVENTS) + 2
    steps = iter(range(1, total))
    duck.execute("set variable release = cast(? as date)", [release_of(duck, TYPES)])
    run_script(duck, (HERE / "etl/words.sql").read_text())
    for statement in relations():
        duck.execute(statement)
    settle(duck)
    run_script(duck, (HERE / "etl/identity.sql").read_text())
    parts: list[str] = []
    for name in EVENTS:
        told(name, next(steps), total)
        duck.execute(f"create temp table event_{name} as {(HERE / f'etl/event/{name}.sql').read_text()}")
        parts.append(f"select * from event_{name}")
    duck.execute(f"create temp view event as {' union all by name '.join(parts)}")
    told("concepts", next(steps), total)
    run_script(duck, (HERE / "etl/code.sql").read_text())
    for name in ORDER:
        told(name, next(steps), total)
        load.load(duck, name, (HERE / f"etl/table/{name}.sql").read_text())
    told("done", total, total)


def _schema(duck: duckdb.DuckDBPyConnection, vocabulary: Path | None) -> None:
    """Empty tables; those of the vocabulary are only made anew if its files changed."""
    bookkeeping(duck)
    duck.execute("create table if not exists cdm.careloom.vocabulary (files varchar)")
    known = duck.execute("select files from cdm.careloom.vocabulary").fetchall()
    files = fingerprint(vocabulary)
    is_known = known == [(files,)]
    for table in tables().values():
        if table.schema == "VOCAB" and is_known:
            continue
        duck.execute(f"drop table if exists cdm.{table.name}")
        duck.execute(create(table, "careloom", "cdm"))
    if not is_known:
        if vocabulary is not None:
            load_vocabulary(duck, vocabulary)
        duck.execute("delete from cdm.careloom.vocabulary")
        duck.execute("insert into cdm.careloom.vocabulary values (?)", [files])


def bookkeeping(duck: duckdb.DuckDBPyConnection) -> None:
    """The tables that say what came from where, and what was left out."""
    duck.execute("create schema if not exists cdm.careloom")
    duck.execute(load.KEYS)
    duck.execute("drop table if exists cdm.careloom.dropped")
    duck.execute(load.DROPPED)


def release_of(duck: duckdb.DuckDBPyConnection, types: Sequence[str]) -> date:
    """The day of the data: that of the last change. Not of the build, so that equal data gives equal tables."""
    days = " union all ".join(f'select max(last_updated) as latest from "{rtype}"' for rtype in types)
    found = duck.execute(f"select cast(max(latest) at time zone 'UTC' as date) from ({days})").fetchall()[0][
        0
    ]
    return found or date(1970, 1, 1)


def run_script(duck: duckdb.DuckDBPyConnection, script: str) -> None:
    """Run the statements of a script one by one."""
    for statement in duck.extract_statements(script):
        duck.execute(statement)


def digest() -> str:
    """What the build is made by: with another version of it, the tables are made anew."""
    found = blake2b(digest_size=8)
    for path in sorted([*HERE.rglob("*.sql"), *HERE.glob("*.tsv"), *HERE.glob("*.py")]):
        found.update(path.read_bytes())
    return found.hexdigest()


def _report(duck: duckdb.DuckDBPyConnection, *, is_new: bool) -> Built:
    rows = {name: duck.execute(f"select count(*) from cdm.{name}").fetchall()[0][0] for name in ORDER}
    dropped = duck.execute("select * from cdm.careloom.dropped order by all").fetchall()
    return Built(is_new, rows, list(_coverages(duck)), dropped, unknown(duck))


_CODED = {
    "condition_occurrence": "condition", "drug_exposure": "drug", "procedure_occurrence": "procedure",
    "device_exposure": "device", "measurement": "measurement", "observation": "observation",
    "visit_occurrence": "visit",
}  # fmt: skip


def _coverages(duck: duckdb.DuckDBPyConnection) -> Generator[Coverage]:
    for table, prefix in _CODED.items():
        concept, value = f"{prefix}_concept_id", f"{prefix}_source_value"
        found = duck.execute(
            f"select count(*), count(*) filter ({concept} <> 0), count(distinct {value}),"
            f" count(distinct {value}) filter ({concept} <> 0) from cdm.{table}"
        ).fetchall()[0]
        yield Coverage(table, *found)
