"""lake.reading: files of Parquet as what stands behind FROM in DuckDB's SQL.

Room: lake. Pure. https://duckdb.org/docs/stable/data/parquet/overview
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def literal(text: object) -> str:
    """A text as a literal of SQL.

    >>> literal("it's")
    "'it''s'"
    """
    return "'" + str(text).replace("'", "''") + "'"


def reading(paths: Iterable[Path], *, with_name: bool = False) -> str:
    """The rows of files that may each lack some columns, and some fields of their structs.

    `with_name`: with a column `filename`. `union_by_name` of `read_parquet` would do, but DuckDB 2.0.1 fails at a struct
    within a struct that lacks fields.
    """
    more = ", filename = true" if with_name else ""
    each = (f"select * from read_parquet({literal(path)}{more})" for path in paths)
    return f"({' union all by name '.join(each)})"
