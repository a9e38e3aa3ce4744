"""lake.flight.server: SQL on the lake over Arrow Flight SQL: for ADBC, JDBC, ODBC and whatever builds on them.

Room: lake. May import: lake, store, pyarrow. https://arrow.apache.org/docs/format/FlightSql.html

It only reads. Each statement goes through lake.sandbox as its asker: the same rows, limits and words as on /sql, and a
line in the audit trail without the statement. Nothing is kept between calls: a ticket, and the handle of a prepared
statement, is the statement itself, and who brings it is asked again who they are.

Flight without SQL is answered too: the command, or the path, of a descriptor may be a statement as it is.
"""

# pyarrow has no types.
# pyright: reportUnknownParameterType=false, reportUntypedBaseClass=false, reportMissingTypeStubs=false
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import structlog
from pyarrow import flight

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.lake.flight import catalogue, message
from careloom.lake.flight.door import NAME, Door, Handshake
from careloom.lake.flight.message import NotAMessage
from careloom.lake.lake import Lake
from careloom.lake.sandbox import Limits, Rows, asked
from careloom.logs import place_of
from careloom.store.actor import Actor, refuse_sql
from careloom.store.audit import Access, record
from careloom.store.database import Database

log = structlog.get_logger()

LIMITS = Limits(rows=1_000_000, seconds=300.0)
"""Of one statement; those of a file from /sql."""
MORE = f"The answer has more than {LIMITS.rows:,} rows: narrow it."
_PEM_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----\s*", re.DOTALL)


class LakeServer(flight.FlightServerBase):
    """One endpoint on the lake in a folder."""

    def __init__(
        self,
        database: Database,
        at: Path | Lake,
        host: str,
        port: int,
        clock: Callable[[], datetime],
        tls_pem: str = "",
    ) -> None:
        """`at`: a lake, or its folder; `tls_pem`: certificate and key, PEM one after the other; "": plain."""
        self._database = database
        self._lake = at if isinstance(at, Lake) else Lake(at)
        self._clock = clock
        scheme = "grpc+tls" if tls_pem else "grpc"
        super().__init__(
            f"{scheme}://{host}:{port}",
            auth_handler=Handshake(),
            tls_certificates=[_pair(tls_pem)] if tls_pem else None,
            middleware={NAME: Door(database, clock)},
        )

    def get_flight_info(self, context: Any, descriptor: Any) -> Any:
        """What a statement, or a question of the catalogue, will give, and the ticket for it."""
        with _told():
            actor = _actor(context)
            found = message.opened(descriptor.command) if descriptor.command else None
            if found is None or found[0] in {"CommandStatementQuery", "CommandPreparedStatementQuery"}:
                sql = _plain(descriptor) if found is None else message.text(found[1], 1)
                ticket = message.closed("TicketStatementQuery", {1: sql.encode()})
                schema = self._schema(actor, sql)
            else:
                refuse_sql(actor)
                schema, ticket = catalogue.table(self._lake.anew(), *found).schema, descriptor.command
            return flight.FlightInfo(schema, descriptor, [flight.FlightEndpoint(ticket, [])], -1, -1)

    def get_schema(self, context: Any, descriptor: Any) -> Any:
        """The columns alone."""
        return flight.SchemaResult(self.get_flight_info(context, descriptor).schema)

    def do_get(self, context: Any, ticket: Any) -> Any:
        """The rows of a ticket, as they come."""
        with _told():
            actor = _actor(context)
            found = message.opened(ticket.ticket)
            if found is None:
                return self._rows(context, actor, ticket.ticket.decode())
            name, told = found
            if name in {"TicketStatementQuery", "CommandPreparedStatementQuery", "CommandStatementQuery"}:
                return self._rows(context, actor, message.text(told, 1))
            refuse_sql(actor)
            return flight.RecordBatchStream(catalogue.table(self._lake.anew(), name, told))

    def do_action(self, context: Any, action: Any) -> Iterator[Any]:
        """A prepared statement is made, or let go; nothing is kept of it."""
        with _told():
            actor = _actor(context)
            found = message.opened(action.body.to_pybytes())
            if action.type == "CreatePreparedStatement" and found is not None:
                sql = message.text(found[1], 1)
                columns = self._schema(actor, sql).serialize().to_pybytes()
                nothing = pa.schema([]).serialize().to_pybytes()
                told = {1: sql.encode(), 2: columns, 3: nothing}
                return iter([flight.Result(message.closed("ActionCreatePreparedStatementResult", told))])
            if action.type == "ClosePreparedStatement":
                return iter([])
            raise OutcomeError(Issue("not-supported", "This endpoint only reads: it has no such action."))

    def list_actions(self, context: Any) -> list[tuple[str, str]]:
        """What do_action knows."""
        _actor(context)
        return [
            ("CreatePreparedStatement", "Prepare a statement."),
            ("ClosePreparedStatement", "Let a prepared statement go."),
        ]

    def _schema(self, actor: Actor, sql: str) -> pa.Schema:
        with self._asked(actor, sql) as rows:
            return rows.schema

    def _asked(self, actor: Actor, sql: str) -> AbstractContextManager[Rows]:
        return asked(self._database, self._lake, actor, sql, None, LIMITS)

    def _rows(self, context: Any, actor: Actor, sql: str) -> Any:
        with self._database.connection() as connection:
            address = str(context.peer()).removeprefix("ipv4:").rpartition(":")[0]
            record(connection, Access(self._clock(), actor.id, "operation", what="sql", address=address))
        with ExitStack() as stack:
            rows = stack.enter_context(self._asked(actor, sql))
            schema = rows.schema
            kept = stack.pop_all()

        def batches() -> Iterator[Any]:
            with kept, _told():
                yield from rows.batches()
                if rows.is_cut:
                    raise OutcomeError(Issue("too-costly", MORE))

        return flight.GeneratorStream(schema, batches())


def _actor(context: Any) -> Actor:
    return context.get_middleware(NAME).actor


def _plain(descriptor: Any) -> str:
    """A statement that is not wrapped: the command, or a path of one part."""
    said = descriptor.command or b"/".join(descriptor.path or [])
    try:
        return said.decode()
    except UnicodeDecodeError:
        raise NotAMessage from None


@contextmanager
def _told() -> Generator[None]:
    """What goes wrong in the words and with the status of Flight; never with a traceback, which may quote a row."""
    try:
        yield
    except flight.FlightError:
        raise
    except OutcomeError as error:
        raise _fault(error) from None
    except (NotAMessage, UnicodeDecodeError):
        raise flight.FlightServerError(
            "That is no message of Flight SQL, and no statement in UTF-8."
        ) from None
    except Exception as error:  # noqa: BLE001 - the library would send the words of any error, which may quote a row
        log.warning("flight_failed", error=place_of(error))
        raise flight.FlightInternalError(f"This should not have happened ({type(error).__name__}).") from None


def _fault(error: OutcomeError) -> Exception:
    codes = {issue.code for issue in error.issues}
    if codes & {"forbidden", "login"}:
        return flight.FlightUnauthorizedError(str(error))
    if codes & {"throttled", "lock-error"}:
        return flight.FlightUnavailableError(str(error))
    if codes & {"too-costly"}:
        return flight.FlightTimedOutError(str(error))
    # ArrowInvalid would be the better status, and would bring a traceback with it.
    return flight.FlightServerError(str(error))


def _pair(pem: str) -> tuple[str, str]:
    key = _PEM_KEY.search(pem)
    if key is None or "BEGIN CERTIFICATE" not in pem:
        text = "CARELOOM_FLIGHT_TLS_CERT must be a PEM file with a certificate and its private key."
        raise OutcomeError(Issue("invalid", text))
    return _PEM_KEY.sub("", pem), key[0]
