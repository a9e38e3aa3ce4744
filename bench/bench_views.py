"""bench_views: a view that flattens a million Observations: careloom's SQL beside others, in one run.

    PYTHONPATH=src python bench/bench_views.py [HOW_MANY]

All read the same files, written as the lake writes its own. The floor is SQL that a person writes by hand over the nested
columns, for DuckDB and for Spark; json_extract reads the raw JSON beside them. Spark runs where PySpark and Java are, its
CPU time is that of the Java process; pysof, where it imports, on a part, as it is asked for rows a second. Observations are those of the public patients (`patients` under the setting `conformance`), or else made
by hand, repeated under new ids; every engine counts all rows and gives the same number.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.compute as pc
import pyarrow.parquet as pq
import zstandard

from careloom.fhir.resource import dumps, loads
from careloom.lake import engine, spark
from careloom.lake.encoding import encodings
from careloom.lake.parquet import FORMAT
from careloom.lake.reading import literal
from careloom.lake.row import to_row
from careloom.lake.schema import arrow_schema, spark_ddl
from careloom.lake.sparse import sparse
from careloom.lake.view.statement import Statement, compile_view
from careloom.settings import settings_from

LOINC = "http://loinc.org"
VIEW: dict[str, Any] = {
    "resource": "Observation",
    "select": [
        {
            "column": [
                {"name": "id", "path": "id"},
                {"name": "patient", "path": "subject.reference"},
                {"name": "effective", "path": "effective.ofType(dateTime)"},
                {"name": "status", "path": "status"},
                {"name": "value", "path": "value.ofType(Quantity).value"},
                {"name": "unit", "path": "value.ofType(Quantity).unit"},
            ]
        },
        {
            "forEach": f"code.coding.where(system = '{LOINC}')",
            "column": [{"name": "code", "path": "code"}, {"name": "display", "path": "display"}],
        },
    ],
}
FLOOR = f"""
    SELECT id, subject.reference patient, effectiveDateTime effective, status, valueQuantity.value "value",
      valueQuantity.unit unit, c.code code, c.display display
    FROM (SELECT *, unnest(code.coding) c FROM {{source}}) WHERE c."system" = '{LOINC}'"""
EXTRACT = f"""
    SELECT raw->>'$.id' id, raw->>'$.subject.reference' patient, raw->>'$.effectiveDateTime' effective,
      raw->>'$.status' status, CAST(raw->'$.valueQuantity.value' AS DOUBLE) "value",
      raw->>'$.valueQuantity.unit' unit, c->>'$.code' code, c->>'$.display' display
    FROM (SELECT raw, unnest(CAST(raw->'$.code.coding' AS JSON[])) c FROM
      (SELECT CAST(raw AS JSON) raw FROM {{source}})) WHERE c->>'$.system' = '{LOINC}'"""
SPARK_FLOOR = f"""
    SELECT id, subject.reference patient, effectiveDateTime effective, status, valueQuantity.value `value`,
      valueQuantity.unit unit, c.code code, c.display display
    FROM (SELECT *, explode(code.coding) c FROM Observation) WHERE c.system = '{LOINC}'"""
ROUNDS = 3
SAMPLE = 70_000
PYSOF = 20_000


def observations() -> Iterator[dict[str, Any]]:
    """Synthetic Observations, real in their size."""
    packed = settings_from().conformance / "patients" / "synthea-r4.tar.zst"
    if not packed.exists():
        for number in range(SAMPLE):
            yield _by_hand(number)
        return
    with (
        packed.open("rb") as file,
        zstandard.ZstdDecompressor().stream_reader(file) as stream,
        tarfile.open(fileobj=io.BufferedReader(stream), mode="r|") as archive,
    ):
        for member in archive:
            content = archive.extractfile(member) if member.name.endswith(".json") else None
            for entry in loads(content.read()).get("entry", []) if content else []:
                if entry["resource"]["resourceType"] == "Observation":
                    yield entry["resource"]


def _by_hand(number: int) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": f"{number % 90}-1", "display": f"Test {number % 90}"}]},
        "subject": {"reference": f"Patient/{number % 500}"},
        "effectiveDateTime": f"20{number % 26:02}-01-02T03:04:05Z",
        "valueQuantity": {"value": number % 1000 / 10, "unit": "mg/dL"},
    }


class Took(NamedTuple):
    """Seconds, each the least of the rounds: others may work on the machine."""

    wall: float
    cpu: float


def timed(
    name: str, count: int, work: Callable[[], int], busy_s: Callable[[], float] = time.process_time
) -> Took:
    """The best of some rounds; prints wall and CPU seconds (of this process, or as `busy_s` says), and rows a second."""
    walls: list[float] = []
    cpus: list[float] = []
    rows = 0
    for _ in range(ROUNDS):
        started, busy = time.perf_counter(), busy_s()
        rows = work()
        walls.append(time.perf_counter() - started)
        cpus.append(busy_s() - busy)
    took = Took(min(walls), min(cpus))
    told = f"{rows:,} rows" if rows else ""
    print(
        f"{name:44} {took.wall:8.2f} s  cpu {took.cpu:8.2f} s  {count / took.wall:12,.0f} /s  {told}",
        flush=True,
    )
    return took


def against(took: Took, floor: Took, what: str) -> None:
    print(
        f"{'':44} {took.wall / floor.wall:8.2f} times {what}, {took.cpu / floor.cpu:.2f} times its CPU",
        flush=True,
    )


def main(many: int) -> None:
    view = compile_view(VIEW)
    with tempfile.TemporaryDirectory() as folder:
        parquet, count = laid(Path(folder), many)
        source = f"read_parquet({literal(parquet / '*.parquet')})"
        connection = engine.connect(threads=2, memory="6GB", spill=Path(folder))

        def duck(sql: str) -> Callable[[], int]:
            def work() -> int:
                connection.execute(f"CREATE OR REPLACE TEMP TABLE found AS {sql}")
                [rows] = connection.execute("SELECT count(*) FROM found").fetchone() or (0,)
                return rows

            return work

        print(
            f"{count:,} Observations, {sum(each.stat().st_size for each in parquet.iterdir()) / count:.0f} bytes each with raw"
        )
        floor = timed("floor: by hand, nested Parquet, DuckDB", count, duck(FLOOR.format(source=source)))
        ours = timed("careloom's view, DuckDB", count, duck(view.sql("duckdb", source)))
        against(ours, floor, "the floor")
        timed("by hand, json_extract, DuckDB", count, duck(EXTRACT.format(source=source)))
        out = Path(folder) / "out.parquet"
        timed(
            "careloom's view to a Parquet file",
            count,
            lambda: engine.write(connection, view, out, "parquet", source),
        )
        _pysof(Path(folder))
        _spark(view, parquet, count, floor)


def laid(folder: Path, many: int) -> tuple[Path, int]:
    """Parquet files in the shape of the lake; a sample is laid once, and repeated under new ids."""
    started = time.perf_counter()
    sample = list(islice(observations(), SAMPLE))
    with (folder / "part.ndjson").open("wb") as lines:
        lines.writelines(dumps(each) + b"\n" for each in sample[:PYSOF])
    read = time.perf_counter()
    table = sparse([to_row(each) for each in sample], arrow_schema("Observation"))
    took = time.perf_counter() - read
    print(
        f"laying {len(sample):,} Observations into columns: {took:.1f} s (reading them: {read - started:.1f} s)"
    )
    times = -(-many // len(sample))
    path = folder / "observations"
    path.mkdir()
    at = table.schema.get_field_index("id")
    for number in range(times):
        other = table.set_column(at, "id", pc.binary_join_element_wise(table["id"], str(number), "-"))
        pq.write_table(other, path / f"{number}.parquet", **FORMAT["settled"], **encodings(other))
    return path, times * len(sample)


def _pysof(folder: Path) -> None:
    view = json.dumps({"resourceType": "ViewDefinition", "status": "active", **VIEW})

    def work() -> int:
        pysof = import_module("pysof")
        pysof.process_ndjson_to_file(view, str(folder / "part.ndjson"), str(folder / "pysof.csv"), "csv")
        return sum(1 for _ in (folder / "pysof.csv").open())

    try:
        timed(f"pysof, NDJSON to CSV, {PYSOF:,} of them", PYSOF, work)
    except (ImportError, NotImplementedError) as error:
        # Its wheel imports on some machines without the part that does the work.
        print(f"pysof does not run here: {error}")


def _spark(view: Statement, parquet: Path, count: int, duckdb_floor: Took) -> None:
    if why := spark.absent():
        print(f"Spark: {why}")
        return
    started = time.perf_counter()
    session = spark.session(memory="4g")
    print(f"{'Spark: Java and a session':44} {time.perf_counter() - started:8.2f} s")
    # A file has the columns that are filled in it; the schema of the lake says what else there is.
    session.read.schema(spark_ddl("Observation")).parquet(str(parquet)).createOrReplaceTempView("Observation")
    java = session.sparkContext._gateway.proc.pid  # noqa: SLF001 - nothing else tells which process it is

    def spark_work(sql: str) -> Callable[[], int]:
        def work() -> int:
            session.sql(sql).write.format("noop").mode("overwrite").save()
            return 0

        return work

    floor = timed(
        "Spark: by hand, nested Parquet, 2 cores", count, spark_work(SPARK_FLOOR), lambda: _cpu_s(java)
    )
    ours = timed("Spark: careloom's view", count, spark_work(view.sql("spark")), lambda: _cpu_s(java))
    rows = session.sql(f"SELECT count(*) FROM ({view.sql('spark')})").first()
    against(ours, floor, "Spark by hand")
    against(ours, duckdb_floor, "DuckDB's floor")
    print(f"{'':44} {rows[0]:,} rows" if rows else "no rows")
    session.stop()


def _cpu_s(pid: int) -> float:
    """CPU seconds of a process and of those that it started."""
    total = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        if int(path.parent.name) == pid or int(fields[1]) == pid:
            total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
