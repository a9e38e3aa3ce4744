"""lake.flight.client: what somebody who signs in by name and password is told by an endpoint, for who measures it.

Room: lake. May import: pyarrow.
"""

# pyarrow has no types.
# pyright: reportUnknownParameterType=false

from __future__ import annotations

from typing import Any

import pyarrow as pa
from pyarrow import flight


class Client:
    """One who asks."""

    def __init__(self, port: int, name: str, password: str) -> None:
        """`port`: of this machine."""
        self._client = flight.connect(f"grpc://127.0.0.1:{port}")
        token = self._client.authenticate_basic_token(name, password)
        self._options = flight.FlightCallOptions(headers=[token])

    def told(self, sql: str) -> tuple[str, Any]:
        """`rows` and the rows, or the kind of error (`too-costly` where the limits were met) and its words."""
        try:
            table = self._client.do_get(flight.Ticket(sql.encode()), self._options).read_all()
        except flight.FlightTimedOutError as error:
            return "too-costly", str(error)
        except (flight.FlightError, pa.ArrowException) as error:
            return "error", str(error)
        return "rows", list(zip(*(column.to_pylist() for column in table.columns), strict=True))

    def close(self) -> None:
        """Leave."""
        self._client.close()
