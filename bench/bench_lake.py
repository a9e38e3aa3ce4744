"""bench_lake: what the lake costs: build rate, feed to queryable, bytes a row, what ends of versions cost a reader, 10x.

    PYTHONPATH=src python bench/bench_lake.py [--bundles 40] [--times 10]

Loads Synthea bundles once, builds, changes 10,000 observations and asks for them; then loads the bundles nine times
more (under new ids) and changes 10,000 again: what is asked is whether freshness hangs on how large the lake is. Beside
it, the same ten thousand rows by MERGE, which writes the ends of versions into the rows. Each mart is made in a process of its
own, for the small lake and for the large one: its rows, CPU time and most memory. CPU time stands beside wall
time, for others may work on the machine.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake

sys.path.insert(0, str(Path(__file__).parent))

from bench_store import transact

from careloom.lake import compaction
from careloom.lake.build import writing
from careloom.lake.lake import Lake
from careloom.lake.marts.mart import MARTS
from careloom.lake.session import opened
from careloom.settings import settings_from
from careloom.store.actor import STATION
from careloom.store.commit import Origin, Write, commit
from careloom.store.database import Database
from careloom.store.read import Reader
from careloom.store.server import ensure
from careloom.verify.archive import files

CHANGES = 10_000
FLAT = (
    "select id, subject.reference, effectiveDateTime, status, c.code, valueQuantity.value, valueQuantity.unit"
    " from {0}, unnest(code.coding) t(c)"
)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--bundles", type=int, default=40)
    options.add_argument("--times", type=int, default=10)
    given = options.parse_args()
    archive = settings_from().conformance / "patients/synthea-r4.tar.zst"
    raws = [raw for _, raw in sorted(files(archive))[: given.bundles]]
    with tempfile.TemporaryDirectory(prefix="careloom-bench-") as fresh:
        home = Path(fresh)
        home.chmod(0o755)
        server = ensure(settings_from({}, home=home))
        database = Database(server.url)
        try:
            database.migrate()
            root = home / "lake"
            load(database, raws, 1)
            build(database, root)
            sizes(root)
            fresh_after_changes(database, root, "1x", "de")
            costs(root, "1x")
            load(database, raws, given.times - 1)
            build(database, root)
            fresh_after_changes(database, root, f"{given.times}x", "fr")
            costs(root, f"{given.times}x")
            readers(database, root)
            sizes(root)
            merge(root, home / "merged")
        finally:
            database.close()
            server.stop()


def load(database: Database, raws: list[bytes], times: int) -> None:
    with database.connection() as connection:
        for number in range(times):
            for index, raw in enumerate(raws):
                transact(connection, raw, number * len(raws) + index)
                connection.commit()


def timed(what: str, work: Callable[[], int], unit: str) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    count = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(
        f"{what}: {count} {unit} in {wall:.2f} s, CPU {cpu:.2f} s:"
        f" {count / wall:.0f}/s wall, {count / cpu:.0f}/s CPU, {cpu / max(count, 1) * 1e6:.0f} us each"
    )


def build(database: Database, root: Path) -> None:
    def work() -> int:
        with writing(database, root) as writer:
            return sum(iter(writer.step, 0))

    timed("build", work, "versions")


def sizes(root: Path) -> None:
    """Bytes of an Observation's row, by column, after compaction into one file."""
    sources = Lake(root).sources("Observation")
    by_column: Counter[str] = Counter()
    rows = total = 0
    for part in sources.parts:
        meta = pq.ParquetFile(sources.folder / part.name).metadata
        rows, total = rows + part.rows, total + part.size
        for group in range(meta.num_row_groups):
            for at in range(meta.num_columns):
                column = meta.row_group(group).column(at)
                by_column[column.path_in_schema] += column.total_compressed_size
    top = ", ".join(f"{name} {size / rows:.1f}" for name, size in by_column.most_common(6))
    print(
        f"size: {total / rows:.1f} bytes an Observation of {rows}, {(total - by_column['raw']) / rows:.1f} without raw"
    )
    print(f"  by column: {top}")


def fresh_after_changes(database: Database, root: Path, name: str, language: str) -> None:
    """Change ten thousand observations, strewn by lot, and ask for all of them."""
    with Lake(root).connection(types=["Observation"]) as duck:
        ids = [row[0] for row in duck.execute('select id from "Observation" order by id').fetchall()]
    chosen = random.Random(1).sample(ids, min(CHANGES, len(ids)))
    with database.connection() as connection:
        reader = Reader(connection, STATION)
        for start in range(0, len(chosen), 500):
            some = [reader.resource("Observation", id_) for id_ in chosen[start : start + 500]]
            writes = [Write(one | {"language": language}) for one in some if one]
            commit(connection, writes, Origin(datetime.now(UTC), "bench", "bench/1"))

    def work() -> int:
        with writing(database, root) as writer:
            while writer.step():
                pass
        with Lake(root).connection(types=["Observation"]) as duck:
            return duck.execute(
                f"select count(*) from \"Observation\" where language = '{language}'"
            ).fetchall()[0][0]

    timed(f"feed to queryable, lake of {name} ({len(ids)} observations)", work, "changes")


def readers(database: Database, root: Path) -> None:
    """Flatten all observations: from the files with no thought of versions, from the view, from the compacted view."""

    def flatten(of: str) -> float:
        """CPU seconds, the best of three."""
        best = 1e9
        for _ in range(3):
            with Lake(root).connection(types=["Observation"]) as duck:
                duck.execute(f"create view floor as select * from {Lake(root).sources('Observation').all()}")
                cpu = time.process_time()
                duck.execute("create temp table x as " + FLAT.format(of)).fetchall()
                best = min(best, time.process_time() - cpu)
        return best

    floor, view = flatten("floor"), flatten('"Observation"')
    with writing(database, root) as writer:
        wall, cpu = time.perf_counter(), time.process_time()
        rows = compaction.settle(writer, "Observation", is_whole=True)
        print(
            f"compact: {rows} rows in {time.perf_counter() - wall:.2f} s, CPU {time.process_time() - cpu:.2f} s"
        )
    print(
        f"flatten, CPU: floor {floor:.2f} s, view {view:.2f} s ({view / floor:.2f}x), compacted view {flatten(chr(34) + 'Observation' + chr(34)):.2f} s"
    )


def costs(root: Path, name: str) -> None:
    """What each mart costs, with those that it is made of, and the table of events."""
    # Not ru_maxrss: a process begins with that of the one that started it.
    program = (
        "import re, resource, sys; from pathlib import Path; from careloom.lake.lake import Lake\n"
        "from careloom.lake.marts.mart import marts; from careloom.lake.marts.events import events\n"
        "mart, root = sys.argv[1], Path(sys.argv[2])\n"
        "def most(): return int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) // 1024\n"
        "before, began = most(), resource.getrusage(resource.RUSAGE_SELF)\n"
        "with events(Lake(root)) if mart == 'events' else marts(Lake(root), [mart]) as duck:\n"
        "    rows = duck.execute(f'select count(*) from {mart}').fetchall()[0][0]\n"
        "told = resource.getrusage(resource.RUSAGE_SELF)\n"
        "cpu = told.ru_utime + told.ru_stime - began.ru_utime - began.ru_stime\n"
        "print(f'{rows:,} rows, CPU {cpu:.2f} s, most memory {most()} MB, {before} of them before')"
    )
    for mart in (*MARTS, "events"):
        done = subprocess.run(
            [sys.executable, "-c", program, mart, str(root)], capture_output=True, text=True, check=False
        )
        # Before its last line DuckDB may have told of its progress.
        told = (done.stdout.strip() or done.stderr.strip()).rpartition("\n")[2]
        print(f"mart {mart}, lake of {name}: {told}", flush=True)


def merge(root: Path, other: Path) -> None:
    """The same table as one that closes versions in place: one change, then ten thousand, by MERGE."""
    sources = Lake(root).sources("Observation")
    with opened(root) as duck:
        columns = "id, version_id, seq_from, seq_to, status, code, subject, valueQuantity, raw"
        table = duck.sql(f"select {columns} from {sources.all()} where version_id = 1").to_arrow_table()
    for count in (1, CHANGES):
        shutil.rmtree(other, ignore_errors=True)
        write_deltalake(other, table)
        ids = random.Random(2).sample(table["id"].to_pylist(), count)
        source = pa.table({"id": ids, "seq": pa.array([1 << 40] * count, pa.int64())})
        wall, cpu = time.perf_counter(), time.process_time()
        told = (
            DeltaTable(other)
            .merge(source, "t.id = s.id and t.seq_to is null", source_alias="s", target_alias="t")
            .when_matched_update({"seq_to": "s.seq"})
            .execute()
        )
        print(
            f"MERGE of {count}: {time.perf_counter() - wall:.2f} s, CPU {time.process_time() - cpu:.2f} s,"
            f" {told['num_target_rows_copied']} rows copied that did not change"
        )


if __name__ == "__main__":
    main()
