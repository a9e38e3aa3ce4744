"""verify.reindexing: an index that was lost is made anew by a job, though everything is killed half way.

Room: verify. Reads the Synthea bundles of the public suites. A scratch home of its own, real processes.
"""

from __future__ import annotations

import time
from pathlib import Path

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.flow.reindexing import KIND
from careloom.settings import Settings
from careloom.store import jobs
from careloom.store.database import Connection, Database
from careloom.store.server import database_served
from careloom.verify.archive import files
from careloom.verify.figure import Figure
from careloom.verify.scratch import database_of, kill_all, run, scratch_home
from careloom.verify.search_oracle import SYNTHEA, fill

NAME = "reindex"
BUNDLES = 120
"""About 35,000 resources."""
TABLES = ("s_str", "s_qty", "s_dat", "s_second")
_PATIENCE_S = 600.0


def check(settings: Settings) -> list[Figure]:
    """Figures: rows, rows whose search values differ afterwards, and what the progress said too much or too little."""
    if not (settings.conformance / SYNTHEA).exists():
        return [Figure(check=NAME, note=f"The suite {SYNTHEA} is absent: set CARELOOM_CONFORMANCE.")]
    with scratch_home(NAME) as home:
        before = _prepared(home, [raw for _, raw in sorted(files(settings.conformance / SYNTHEA))[:BUNDLES]])
        _kill_half_way(home)
        process = run(home, "reindex")
        if process.wait(_PATIENCE_S) != 0:
            raise OutcomeError(Issue("exception", "The second `careloom reindex` did not end well."))
        with database_served(Settings(home=home)) as database, database.connection() as connection:
            after = _index(connection)
            (job,) = jobs.jobs(connection, KIND)
    lost = sum(after.get(rid) != values for rid, values in before.items())
    return [
        Figure(check=f"{NAME}.rows", value=len(before), unit="rows"),
        Figure(check=f"{NAME}.lost", value=lost, unit="rows"),
        Figure(
            check=f"{NAME}.untrue",
            value=abs(len(before) - job.done) + abs(job.done - (job.total or 0)),
            unit="rows",
        ),
    ]


def _prepared(home: Path, bundles: list[bytes]) -> dict[int, str]:
    """Fill a store, look at its index, and lose it; what the index was."""
    with database_served(Settings(home=home)) as database:
        fill(database, bundles, [])
        with database.connection() as connection:
            before = _index(connection)
            _lose(connection)
        return before


def _index(connection: Connection) -> dict[int, str]:
    """Of each row all search values, as one hash."""
    values = "pat, code, dlo, dhi, present, is_restricted, also, array(select unnest(ix) order by 1)"
    parts = [f"select rid, md5(row({values})::text) as one from res"]
    parts += [f"select rid, md5(t::text) from {table} t" for table in TABLES]
    sql = f"select rid, md5(string_agg(one, ' ' order by one)) from ({' union all '.join(parts)}) u group by rid"
    return dict(connection.execute(sql.encode()).fetchall())


def _lose(connection: Connection) -> None:
    connection.execute(
        "update res set pat = null, code = null, dlo = '-infinity', dhi = null, present = 0, also = null, ix = '{}'"
    )
    for table in TABLES:
        connection.execute(f"delete from {table}".encode())


def _kill_half_way(home: Path) -> None:
    """Begin, and kill -9 everything, the database too, when a third is done."""
    process = run(home, "reindex")
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        done, total = _progress(home)
        if total and done * 3 > total:
            kill_all(home, process)
            return
        time.sleep(0.05)
    raise OutcomeError(Issue("exception", "The first `careloom reindex` could not be killed half way."))


def _progress(home: Path) -> tuple[int, int]:
    try:
        database = database_of(home)
    except OSError:
        return 0, 0
    try:
        return _told(database)
    except OutcomeError:
        # Its server is about to start.
        return 0, 0
    finally:
        database.close()


def _told(database: Database) -> tuple[int, int]:
    with database.connection() as connection:
        found = jobs.jobs(connection, KIND)
    return (found[0].done, found[0].total or 0) if found else (0, 0)
