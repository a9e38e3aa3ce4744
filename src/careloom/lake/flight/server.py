"""lake.flight.server: SQL on the lake over Arrow Flight SQL: for ADBC, JDBC, ODBC and whatever builds on them.

Room: lake. May import: lake, store, pyarrow. https://arrow.apache.org/docs/format/FlightSql.html

It only reads. Each statement goes through lake.sandbox as its asker: the same rows, limits and words as on /sql, and a
line in the audit trail without the statement. A ticket, and the handle of a prepared statement, is the statement itself with
the values that were bound to it (flight.handle), and who brings it is asked again who they are.

Flight without SQL is answered too: the command, or the path, of a descriptor may be a statement as it is.
"""

# pyarrow has no types.
# pyright: reportUnknownParameterType=false, reportUntypedBaseClass=false, reportMissingTypeStubs=false
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import structlog
from pyarrow import flight

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.lake.flight import catalogue, handle, message
from careloom.lake.flight.door import NAME, Door, Handshake
from careloom.lake.flight.handle import Bound, Handle
from careloom.lake.flight.message import NotAMessage
from careloom.lake.lake import Lake
from careloom.lake.question import Parameter, parameters_of
from careloom.lake.sandbox import Limits, Rows, asked
from careloom.logs import place_of
from careloom.store.actor import Actor, refuse_sql
from careloom.store.audit import Access, record
from careloom.store.database import Database

log = structlog.get_logger()

LIMITS = Limits(rows=1_000_000, seconds=300.0)
"""Those of a file from /sql."""
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
        self._bound = Bound()
        self.limits = LIMITS
        """Of one statement."""
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
                one = Handle(_plain(descriptor)) if found is None else self._asked_for(actor, found[1])
                ticket = message.closed("TicketStatementQuery", {1: one.written()})
                schema = self._schema(actor, one.sql, _values(one))
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
                return self._rows(context, actor, Handle(ticket.ticket.decode()))
            name, told = found
            if name in {"TicketStatementQuery", "CommandPreparedStatementQuery", "CommandStatementQuery"}:
                return self._rows(context, actor, self._asked_for(actor, told))
            refuse_sql(actor)
            return flight.RecordBatchStream(catalogue.table(self._lake.anew(), name, told))

    def do_action(self, context: Any, action: Any) -> Iterator[Any]:
        """A prepared statement is made, or let go."""
        with _told():
            actor = _actor(context)
            found = message.opened(action.body.to_pybytes())
            if action.type == "CreatePreparedStatement" and found is not None:
                told = self._prepared(actor, message.text(found[1], 1))
                return iter([flight.Result(message.closed("ActionCreatePreparedStatementResult", told))])
            if action.type == "ClosePreparedStatement" and found is not None:
                self._bound.forget(actor.id, handle.read(_raw(found[1])))
                return iter([])
            raise OutcomeError(Issue("not-supported", "This endpoint only reads: it has no such action."))

    def do_put(self, context: Any, descriptor: Any, reader: Any, writer: Any) -> None:
        """Values are bound to a prepared statement; nothing else can be put here."""
        with _told():
            actor = _actor(context)
            refuse_sql(actor)
            found = message.opened(descriptor.command) if descriptor.command else None
            if found is None or found[0] != "CommandPreparedStatementQuery":
                raise OutcomeError(
                    Issue("not-supported", "This endpoint only reads: nothing can be put here.")
                )
            batches = (chunk.data for chunk in reader if chunk.data is not None)
            one = self._bound.bind(actor.id, handle.read(_raw(found[1])), batches)
            writer.write(pa.py_buffer(message.written({1: one.written()})))

    def list_actions(self, context: Any) -> list[tuple[str, str]]:
        """What do_action knows."""
        _actor(context)
        return [
            ("CreatePreparedStatement", "Prepare a statement."),
            ("ClosePreparedStatement", "Let a prepared statement go."),
        ]

    def _prepared(self, actor: Actor, sql: str) -> dict[int, bytes]:
        """The handle, the columns of the answer, and those of the values that are needed."""
        refuse_sql(actor)
        needed = parameters_of(sql)
        one = handle.new(sql) if needed else Handle(sql)
        columns = self._columns(actor, sql, needed) if needed else self._schema(actor, sql)
        told = (columns, handle.schema_of(needed))
        return {1: one.written()} | {at: each.serialize().to_pybytes() for at, each in enumerate(told, 2)}

    def _columns(self, actor: Actor, sql: str, needed: Sequence[Parameter]) -> pa.Schema:
        """As far as they can be told before there are values: a function may take no null, or no text."""
        failed: OutcomeError | None = None
        for value in (None, "", 1):
            try:
                return self._schema(actor, sql, {one.name: value for one in needed})
            except OutcomeError as error:
                failed = failed or error
        assert failed  # noqa: S101 - else one was returned
        raise failed

    def _asked_for(self, actor: Actor, told: message.Fields) -> Handle:
        return self._bound.filled(actor.id, handle.read(_raw(told)))

    def _schema(self, actor: Actor, sql: str, values: Mapping[str, Any] | None = None) -> pa.Schema:
        with self._asked(actor, sql, values) as rows:
            return rows.schema

    def _asked(
        self, actor: Actor, sql: str, values: Mapping[str, Any] | None
    ) -> AbstractContextManager[Rows]:
        return asked(self._database, self._lake, actor, sql, values, self.limits)

    def _rows(self, context: Any, actor: Actor, one: Handle) -> Any:
        with self._database.connection() as connection:
            address = str(context.peer()).removeprefix("ipv4:").rpartition(":")[0]
            record(connection, Access(self._clock(), actor.id, "operation", what="sql", address=address))
        with ExitStack() as stack:
            rows = stack.enter_context(self._asked(actor, one.sql, _values(one)))
            schema = rows.schema
            kept = stack.pop_all()

        def batches() -> Iterator[Any]:
            with kept, _told():
                yield from rows.batches()
                if rows.is_cut:
                    raise OutcomeError(
                        Issue("too-costly", f"The answer has more than {self.limits.rows:,} rows: narrow it.")
                    )

        return flight.GeneratorStream(schema, batches())


def _actor(context: Any) -> Actor:
    return context.get_middleware(NAME).actor


def _raw(told: message.Fields) -> bytes:
    """The statement, or the handle of one: the first field."""
    found = told.get(1, [b""])[-1]
    if not isinstance(found, bytes):
        raise NotAMessage
    return found


def _values(one: Handle) -> Mapping[str, Any] | None:
    return one.given(parameters_of(one.sql)) if one.number else None


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
    # The library goes on behind the words with a full stop of its own.
    text = str(error).removesuffix(".")
    codes = {issue.code for issue in error.issues}
    if codes & {"forbidden", "login"}:
        return flight.FlightUnauthorizedError(text)
    if codes & {"throttled", "lock-error"}:
        return flight.FlightUnavailableError(text)
    if codes & {"too-costly"}:
        return flight.FlightTimedOutError(text)
    # ArrowInvalid would be the better status, and would bring a traceback with it.
    return flight.FlightServerError(text)


def _pair(pem: str) -> tuple[str, str]:
    key = _PEM_KEY.search(pem)
    if key is None or "BEGIN CERTIFICATE" not in pem:
        text = "CARELOOM_FLIGHT_TLS_CERT must be a PEM file with a certificate and its private key."
        raise OutcomeError(Issue("invalid", text))
    return _PEM_KEY.sub("", pem), key[0]
