"""connect.mllp: listen for HL7 v2 messages over MLLP; answer each when it is kept, never before.

Room: connect. May import: fhir, store. Standard: HL7 v2 Transport Specification: MLLP, Release 1.

Every block is answered, and bytes that are no message are kept too (as an Event that stands in quarantine). Of one
connection, messages are taken in the order in which they came; connections do not wait for each other.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import structlog

from careloom.connect.mllp_frame import Deframer, Frame, frame
from careloom.connect.mllp_reply import Door
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.store.event import Arrival, Receipt

_log = structlog.get_logger(__name__)
_READ_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What one listener takes upon itself."""

    message_bytes: int = 10 * 1024 * 1024
    """A longer message is refused (AR), its connection goes on."""
    connections: int = 64
    """One more is closed at once."""
    idle_s: float = 600.0
    """A connection that says nothing for so long is closed; so is a receiver that does not read its answers."""
    stray_s: float = 2.0
    """Bytes outside a block are answered after so long a silence, and the connection is closed."""
    accept_s: float = 120.0
    """A message that is not accepted within this time gets no answer: its connection is closed, its sender resends."""
    threads: int = 4
    """Messages accepted at the same time."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _new_id() -> str:
    return uuid4().hex[:20]


class Listener:
    """A running listener, made by `serve`; lives in one asyncio loop."""

    def __init__(self, door: Door, limits: Limits) -> None:
        self.port = 0
        self._door = door
        self._limits = limits
        self._server: asyncio.Server | None = None
        self._pool = ThreadPoolExecutor(limits.threads, thread_name_prefix="mllp")
        self._connections: dict[asyncio.Task[None], bool] = {}
        self._is_stopping = False

    async def open(self, host: str, port: int, tls: ssl.SSLContext | None) -> None:
        """Bind. Raises OutcomeError(processing) with one sentence if the address cannot be bound."""
        try:
            self._server = await asyncio.start_server(self._met, host, port, ssl=tls, limit=_READ_BYTES)
        except OSError as error:
            self._pool.shutdown(wait=False)
            reason = error.strerror or "cannot be bound"
            text = f"The MLLP listener cannot listen on {host}:{port}: {reason}. Choose another port."
            raise OutcomeError(Issue("processing", text)) from None
        self.port = self._server.sockets[0].getsockname()[1]
        _log.info("mllp_listening", host=host, port=self.port, tls=tls is not None)

    async def stop(self, grace_s: float = 10.0) -> None:
        """Take no more; let messages that are being accepted be answered, at most for `grace_s`."""
        self._is_stopping = True
        if self._server is not None:
            self._server.close()
        for task, is_busy in list(self._connections.items()):
            if not is_busy:
                task.cancel()
        if self._connections:
            _, late = await asyncio.wait(list(self._connections), timeout=grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or self._is_stopping or len(self._connections) >= self._limits.connections:
            _log.warning("mllp_connection_refused", connections=len(self._connections))
            writer.close()
            return
        self._connections[task] = False
        try:
            await self._converse(task, reader, writer)
        except (OSError, TimeoutError, asyncio.CancelledError) as error:
            _log.info("mllp_connection_ended", reason=type(error).__name__)
        finally:
            del self._connections[task]
            writer.close()
            with suppress(OSError, TimeoutError, asyncio.CancelledError):
                await asyncio.wait_for(writer.wait_closed(), 1)

    async def _converse(
        self, task: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        deframer = Deframer(self._limits.message_bytes)
        is_open = True
        while is_open and not self._is_stopping:
            quiet_s = self._limits.stray_s if deframer.has_stray else self._limits.idle_s
            try:
                data = await asyncio.wait_for(reader.read(_READ_BYTES), quiet_s)
            except TimeoutError:
                data = b""
            is_open = bool(data)
            self._connections[task] = True
            for cut in deframer.feed(data) if is_open else deframer.flush():
                await self._answer(cut, writer)
                if self._is_stopping:
                    return
            self._connections[task] = False
        if deframer.is_inside:
            _log.warning("mllp_message_cut_off")

    async def _answer(self, cut: Frame, writer: asyncio.StreamWriter) -> None:
        accepted = asyncio.get_running_loop().run_in_executor(self._pool, self._door.answers, cut)
        for answer in await asyncio.wait_for(accepted, self._limits.accept_s):
            writer.write(frame(answer))
        await asyncio.wait_for(writer.drain(), self._limits.idle_s)


async def serve(  # noqa: PLR0913 - the settings of one listener
    host: str,
    port: int,
    accept: Callable[[Arrival], Receipt],
    *,
    source: str = "",
    tls: ssl.SSLContext | None = None,
    limits: Limits | None = None,
    now: Callable[[], datetime] = _utc_now,
    new_id: Callable[[], str] = _new_id,
) -> Listener:
    """Listen on host:port (0: any free port) and hand each message to `accept`, which runs in a thread.

    `source` names the source of all messages; empty, MSH-3 and MSH-4 of each name it (`msh.source_of`). A message is
    answered when `accept` has returned: what it answers is `ack.verdict_of` what it returned or raised. Raises
    OutcomeError if the address cannot be bound. End it with `Listener.stop`.
    """
    limits = limits or Limits()
    listener = Listener(Door(accept, source, now, new_id, limits.message_bytes), limits)
    await listener.open(host, port, tls)
    return listener


@contextmanager
def listening(  # noqa: PLR0913 - the settings of one listener
    host: str,
    port: int,
    accept: Callable[[Arrival], Receipt],
    *,
    source: str = "",
    tls: ssl.SSLContext | None = None,
    limits: Limits | None = None,
    grace_s: float = 10.0,
) -> Generator[int]:
    """`serve` in a thread of its own, for callers without an asyncio loop; gives the port, stops at the end."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="mllp-loop", daemon=True)
    thread.start()
    try:
        coroutine = serve(host, port, accept, source=source, tls=tls, limits=limits)
        listener = asyncio.run_coroutine_threadsafe(coroutine, loop).result()
        try:
            yield listener.port
        finally:
            asyncio.run_coroutine_threadsafe(listener.stop(grace_s), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def tls_context(certificate: Path, client_ca: Path | None = None) -> ssl.SSLContext:
    """TLS for a listener: a PEM file with certificate and key; with `client_ca`, senders must show a certificate
    that it signed. Raises OutcomeError if a file cannot be used.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate)
        if client_ca is not None:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:
        text = f"The TLS certificate for MLLP cannot be used ({type(error).__name__}): a PEM file with key is needed."
        raise OutcomeError(Issue("processing", text)) from None
    return context
