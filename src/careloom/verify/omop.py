"""verify.omop: the CDM is the published one, Synthea goes into it whole and twice alike, and the checks find what is known.

Room: verify. Reads `omop/cdm` (github.com/OHDSI/CommonDataModel), `omop/eunomia` (github.com/OHDSI/EunomiaDatasets,
Synthea27Nj) and the Synthea bundles of `patients`.
"""

from __future__ import annotations

import csv
import re
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from careloom.connect.archive import members
from careloom.flow import Flow
from careloom.lake.build import writing
from careloom.lake.lake import Lake
from careloom.lake.omop.build import FILE, build
from careloom.lake.omop.ddl import Dialect, ddl
from careloom.lake.omop.inspection import contents, inspected, loaded_from
from careloom.settings import Settings
from careloom.store.actor import Actor
from careloom.store.database import Database
from careloom.store.server import database_served
from careloom.verify.figure import Figure
from careloom.verify.progress import progress
from careloom.verify.scratch import scratch_home

NAME = "omop"
PUBLISHED = Path("omop/cdm/5.4")
EUNOMIA = Path("omop/eunomia/Synthea27Nj/Synthea27Nj_5.4.zip")
SYNTHEA = Path("patients/synthea-r4.tar.zst")
TODAY = date(2026, 1, 1)
CLIENT = Actor("verify", frozenset({"source"}))

ROWS = {
    "Patient": "person",
    "Encounter": "visit_occurrence",
    "Practitioner": "provider",
    "Organization": "care_site",
    "Condition": "condition_occurrence",
    "Procedure": "procedure_occurrence",
    "ExplanationOfBenefit": "cost",
}
"""Types of Synthea that are one row each, without a vocabulary that would lead them elsewhere."""


def check(settings: Settings, *, bundles: int | None = None) -> list[Figure]:
    """Figures of the DDL, of Eunomia and of Synthea; `bundles`: no more of Synthea than this."""
    folder = settings.conformance
    if absent := [str(path) for path in (PUBLISHED, EUNOMIA, SYNTHEA) if not (folder / path).exists()]:
        return [Figure(check=NAME, note=f"Absent: {', '.join(absent)}. Set CARELOOM_CONFORMANCE.")]
    return [*of_ddl(folder), *of_eunomia(folder), *_of_synthea(folder, bundles)]


def of_ddl(folder: Path) -> Iterator[Figure]:
    """Statements of the published DDL that ours has, and none besides."""
    for dialect in ("duckdb", "postgresql"):
        ours, theirs = (set(each) for each in statements(folder, dialect))
        yield Figure(check=f"{NAME}.ddl-{dialect}", passed=len(ours & theirs), failed=len(ours ^ theirs))


def statements(folder: Path, dialect: Dialect) -> tuple[list[str], list[str]]:
    """Our statements and the published ones, in one spelling."""
    kinds = ("ddl", "primary_keys", "constraints") if dialect == "postgresql" else ("ddl",)
    files = [folder / PUBLISHED / dialect / f"OMOPCDM_{dialect}_5.4_{kind}.sql" for kind in kinds]
    theirs = ";".join(path.read_text() for path in files).replace("@cdmDatabaseSchema", "cdm")
    return _spelt(";".join(ddl(dialect))), _spelt(theirs)


def _spelt(script: str) -> list[str]:
    plain = re.sub(r"--.*", "", script).lower()
    parts = (re.sub(r"\s+", " ", re.sub(r"\s*([(),])\s*", r"\1", part)).strip() for part in plain.split(";"))
    return [part for part in parts if part]


def of_eunomia(folder: Path) -> Iterator[Figure]:
    """The reference of 28 persons loads whole, and the checks find in it what is known of it."""
    with tempfile.TemporaryDirectory() as scratch:
        with zipfile.ZipFile(folder / EUNOMIA) as archive:
            names = [name for name in archive.namelist() if "/" not in name and name.endswith(".csv")]
            archive.extractall(scratch, names)
        lines = {name[:-4].lower(): _records(Path(scratch) / name) for name in names}
        file = Path(scratch) / FILE
        loaded = loaded_from(Path(scratch), file)
        right = sum(loaded.get(name) == number for name, number in lines.items())
        yield Figure(check=f"{NAME}.eunomia-tables", passed=right, failed=len(lines) - right)
        results = inspected(file, TODAY)
    told = {(each.check.kind.name, each.check.place.table): each for each in results}
    yield Figure(
        check=f"{NAME}.eunomia-no-unit",
        value=round(told["valueWithoutUnitConcept", "measurement"].percent, 2),
        unit="% of measurements with a value",
    )
    outside = told["withinObservationPeriod", "condition_occurrence"].violated
    yield Figure(check=f"{NAME}.eunomia-outside", value=outside, unit="conditions outside the periods")
    yield from _of_checks("eunomia", results)


def _records(path: Path) -> int:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return sum(1 for _ in csv.reader(file)) - 1


def _of_checks(name: str, results: list[Any]) -> Iterator[Figure]:
    counts = Counter(each.status for each in results)
    asked = counts["passed"] + counts["failed"]
    yield Figure(check=f"{NAME}.{name}-checks", value=asked, unit="checks that had rows")
    yield Figure(check=f"{NAME}.{name}-failed", value=counts["failed"], unit="checks")
    fatal = sum(each.status == "failed" and each.check.kind.severity == "fatal" for each in results)
    yield Figure(check=f"{NAME}.{name}-fatal", value=fatal, unit="checks")


def _of_synthea(folder: Path, bundles: int | None) -> Iterator[Figure]:
    with scratch_home(NAME) as home, progress(NAME, bundles) as told:
        settings = Settings(home=home)
        with database_served(settings) as database:
            flow = Flow(database, settings)
            for number, body in enumerate(islice(bodies(folder / SYNTHEA), bundles), 1):
                flow.transact(body, CLIENT)
                told("bundles", number)
            yield from of_store(database, home / "lake")


def of_store(database: Database, root: Path) -> Iterator[Figure]:
    """What a store holds, by way of the lake: rows for resources, twice alike, and the checks."""
    with writing(database, root) as writer:
        while writer.step():
            pass
    lake = Lake(root)
    started, worked = time.perf_counter(), time.process_time()
    made = build(lake, root / FILE)
    seconds, cpu = time.perf_counter() - started, time.process_time() - worked
    with lake.connection() as duck:
        counts = {
            rtype: duck.execute(f'select count(*) from "{rtype}"').fetchall()[0][0] for rtype in lake.types
        }
    right = sum(made.rows[table] == counts.get(rtype, 0) for rtype, table in ROWS.items())
    yield Figure(check=f"{NAME}.synthea-types", passed=right, failed=len(ROWS) - right)
    total = sum(made.rows.values())
    yield Figure(check=f"{NAME}.synthea-rows", value=total, unit="rows")
    yield Figure(check=f"{NAME}.synthea-dropped", value=sum(each[2] for each in made.dropped), unit="rows")
    yield Figure(check=f"{NAME}.synthea-build", value=round(seconds, 1), unit=f"s ({cpu:.1f} s CPU)")
    first = contents(root / FILE)
    (root / FILE).unlink()
    build(lake, root / FILE)
    second = contents(root / FILE)
    equal = sum(second[name] == digest for name, digest in first.items())
    yield Figure(check=f"{NAME}.synthea-again", passed=equal, failed=len(first) - equal)
    # The release date is that of the load, which is now.
    yield from _of_checks("synthea", inspected(root / FILE, datetime.now(UTC).date()))


def bodies(suite: Path) -> Iterator[bytes]:
    """The bundles of the suite."""
    for name, stream in members(suite, lambda _: None):
        if name.endswith(".json"):
            yield stream.read()
