"""bench_run: $run of a view over HTTP: how fast its rows come, and what memory web holds meanwhile.

    PYTHONPATH=src python -m bench run          (or: python bench/bench_run.py [--rows 1000000])

A lake of so many Observations is laid by hand; web serves it in a process of its own. For each form: seconds to the
first byte and to the last, MB, rows a second, and by how much the memory of web and of the process that runs the view
rose. At the end: whether web rose by less than 50 MB.
"""

from __future__ import annotations

import argparse
import http.client
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa

from careloom.flow import Flow
from careloom.lake import manifest
from careloom.lake.column import digest_of, table_schema
from careloom.lake.manifest import Manifest
from careloom.lake.parquet import write
from careloom.lake.row import to_row
from careloom.lake.sparse import sparse
from careloom.lake.table import Table
from careloom.settings import Settings, lake_root
from careloom.store import accounts
from careloom.store.database import Database
from careloom.store.server import database_served
from careloom.verify.scratch import free_port, scratch_home
from careloom.web.server import serve

FORMS = ("csv", "ndjson", "json", "parquet")
BLOCK = 10_000
MOST_MB = 50.0
RTYPE = "Observation"


def observation(number: int) -> dict[str, Any]:
    coding = [{"system": "http://loinc.org", "code": f"{number % 97}-4", "display": "Heart rate"}]
    return {
        "resourceType": RTYPE,
        "id": f"o{number}",
        "status": "final",
        "code": {"coding": coding},
        "subject": {"reference": f"Patient/p{number % 5000}"},
        "effectiveDateTime": f"2026-0{number % 9 + 1}-11T12:00:00Z",
        "valueQuantity": {
            "value": number % 200 / 2,
            "unit": "/min",
            "system": "http://unitsofmeasure.org",
            "code": "/min",
        },
    }


def laid(root: Path, rows: int) -> None:
    """The table, as its writer would have left it."""
    root.mkdir(parents=True)
    own = {
        "version_id": 1,
        "last_updated": datetime.now(UTC),
        "seq_from": 1,
        "is_deleted": False,
        "is_aside": False,
    }
    found = [to_row(observation(number)) | {"id": f"o{number}"} | own for number in range(BLOCK)]
    block = sparse(found, table_schema(RTYPE))

    def blocks() -> Iterator[pa.Table]:
        at = block.column_names.index("id")
        for start in range(0, rows, BLOCK):
            ids = pa.array([f"o{start + number}" for number in range(BLOCK)])
            yield block.set_column(at, "id", ids)

    table = Table(root, RTYPE)
    table.replace([], [write(table.folder, "fed", digest_of(RTYPE), blocks())])
    manifest.publish(root, Manifest(at=datetime.now(UTC), versions={RTYPE: table.version}))


def mb(process: psutil.Process) -> float:
    return process.memory_info().rss / 1e6


def asked(port: int, token: str, form: str, web: psutil.Process) -> float:
    """One line of the table; by how many MB web rose."""
    before, most, child = mb(web), mb(web), 0.0
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    began = time.perf_counter()
    path = f"/fhir/ViewDefinition/observation/$run?_format={form}"
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    size = lines = first = 0.0
    while piece := answer.read(1 << 20):
        first = first or time.perf_counter() - began
        size += len(piece)
        lines += piece.count(b"\n")
        most = max(most, mb(web))
        child = max([child, *map(mb, web.children())])
    seconds = time.perf_counter() - began
    print(
        f"{form:8} {answer.status} first {first:5.2f} s, all {seconds:6.2f} s, {size / 1e6:7.1f} MB, {lines:9,.0f} lines; "
        f"web {before:4.0f} MB, +{most - before:.1f}; process {child:4.0f} MB",
        flush=True,
    )
    return most - before


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--serve", nargs=3)
    given = parser.parse_args(arguments)
    if given.serve:
        home, url, port = given.serve
        settings, database = Settings(home=Path(home), port=int(port)), Database(url)
        serve(settings, database, Flow(database, settings))
        return 0
    with scratch_home("bench-run") as home, database_served(Settings(home=home)) as database:
        laid(lake_root(Settings(home=home)), given.rows)
        with database.connection() as connection:
            token = accounts.create_token(connection, "bench", ["physician"])
        port = free_port()
        server = subprocess.Popen([sys.executable, __file__, "--serve", str(home), database.url, str(port)])
        try:
            while server.poll() is None:
                try:
                    http.client.HTTPConnection("127.0.0.1", port, timeout=5).request("GET", "/")
                    break
                except OSError:
                    time.sleep(0.2)
            web = psutil.Process(server.pid)
            asked(port, token, "csv", web)  # what is loaded once is loaded now
            rose = max(asked(port, token, form, web) for form in FORMS)
        finally:
            server.terminate()
            server.wait(30)
    print(f"web rose by {rose:.1f} MB (at most {MOST_MB:.0f})")
    return int(rose > MOST_MB)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
