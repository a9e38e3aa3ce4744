"""lake.session: the one place where a DuckDB is opened: in memory, bounded, spilling beside the lake's files.

Room: lake. May import: duckdb. https://duckdb.org/docs/stable/configuration/overview
"""

from __future__ import annotations

from pathlib import Path

import duckdb

SCRATCH = "_scratch"
"""Where DuckDB spills what does not fit its memory: beside the tables, for it is patients' data as they are."""


def opened(root: Path, memory: str = "1GB", threads: int = 0) -> duckdb.DuckDBPyConnection:
    """A DuckDB of its own; `threads` 0: one for each core."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory,
        "temp_directory": str(root / SCRATCH),
        # Nothing is fetched from the network behind one's back, and nothing is installed.
        "autoinstall_known_extensions": "false",
    }
    if threads:
        config["threads"] = str(threads)
    return duckdb.connect(config=config)
