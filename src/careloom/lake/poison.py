"""lake.poison: the resources on which a view cannot be run (a cell with several values): found, named, and left out.

Room: lake. May import: lake, duckdb.

A view that stops says in which column, not at which resource. That is found by halving, only when it has stopped: a view
that runs costs nothing more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import duckdb

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.lake.engine import outcomes
from careloom.lake.reading import literal
from careloom.lake.view.fault import MARK
from careloom.lake.view.statement import Statement

MOST = 100
"""So many are left out; with more it is the view that is wrong."""
_DEEPEST = 60
"""Bits of a hash: a part of one resource is found long before."""
_ROWS = 10_000


def may_stop(statement: Statement) -> bool:
    """Whether it depends on the resources that the view can be run."""
    return MARK in statement.sql()


def is_of_a_resource(error: OutcomeError) -> bool:
    """Whether a view stopped for what stands in some resource, and not for what it costs."""
    return all(issue.code == "processing" for issue in error.issues)


def left_out(duck: duckdb.DuckDBPyConnection, statement: Statement, source: str) -> dict[str, str]:
    """Id -> why, of all on which it cannot be run. `source`: what stands behind FROM. Raises OutcomeError for too many."""
    found = dict(islice(_stopping(duck, statement, source, 0, 0), MOST + 1))
    if len(found) > MOST:
        text = f"The view cannot be run on more than {MOST} resources: {next(iter(found.values()))}"
        raise OutcomeError(Issue("processing", text))
    return found


def without(source: str, ids: Iterable[str]) -> str:
    """The same source without these."""
    return f"(select * from {source} where id is null or id not in ({', '.join(map(literal, ids))}))"


def named(
    duck: duckdb.DuckDBPyConnection, statement: Statement, source: str, error: OutcomeError
) -> OutcomeError:
    """The same error with the resource at which the view stopped."""
    if not is_of_a_resource(error):
        return error
    try:
        id_, _ = next(_stopping(duck, statement, source, 0, 0))
    except (OutcomeError, StopIteration, duckdb.Error):
        # To name it would take longer than there is time.
        return error
    issue = error.issues[0]
    return OutcomeError(
        Issue(issue.code, f"{issue.text} So it is in {statement.resource}/{id_}.", issue.expression)
    )


def _stopping(
    duck: duckdb.DuckDBPyConnection, statement: Statement, source: str, bits: int, value: int
) -> Iterator[tuple[str, str]]:
    part = f"(select * from {source} where hash(id) % {1 << bits} = {value})" if bits else source
    try:
        with outcomes():
            for _ in duck.sql(statement.sql("duckdb", part)).to_arrow_reader(_ROWS):
                pass
    except OutcomeError as error:
        if not is_of_a_resource(error) or bits >= _DEEPEST:
            raise
        ids = [row[0] for row in duck.sql(f"select id from {part} limit 2").fetchall()]
        if len(ids) == 1:
            yield str(ids[0]), str(error)
            return
        for half in (value, value | 1 << bits):
            yield from _stopping(duck, statement, source, bits + 1, half)
