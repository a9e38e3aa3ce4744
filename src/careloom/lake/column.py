"""lake.column: the columns that stand beside those of the shape, and the schema of a whole table.

Room: lake. May import: lake.schema, pyarrow.

Their names have an underscore, which no element of FHIR has: nothing collides with ValueSet.version or Task.status.
"""

from __future__ import annotations

from functools import cache
from hashlib import blake2b

import pyarrow as pa

from careloom.lake.schema import OWN, arrow_schema

PLAIN = ("version_id", "last_updated", "seq_from", "event_id", "agent")
"""Those that a view of what is current shows."""


@cache
def table_schema(rtype: str) -> pa.Schema:  # pyright: ignore[reportUnknownParameterType] - pyarrow has no types
    """All columns of the table of a type: its own first, then those of the shape."""
    return pa.schema([*OWN, *arrow_schema(rtype)])


@cache
def digest_of(rtype: str) -> str:
    """A short name for the shape of a type in this version of careloom; files carry it in their names."""
    return blake2b(str(table_schema(rtype)).encode(), digest_size=4).hexdigest()
