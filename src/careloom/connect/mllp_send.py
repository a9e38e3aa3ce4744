"""connect.mllp_send: send HL7 v2 messages over MLLP and wait for each acknowledgement.

Room: connect. May import: fhir. Standard: HL7 v2 Transport Specification: MLLP, Release 1; v2.9 chapter 2, 2.9.

A message whose answer did not come is sent again, the same bytes, until it is answered: a receiver that knows it by
its control id takes it once.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from careloom.connect.ack import Acknowledgement, acknowledgement_of
from careloom.connect.mllp_frame import Deframer, frame
from careloom.connect.msh import Msh, msh_of
from careloom.connect.sources import items, plan
from careloom.fhir.outcome import Issue, OutcomeError

_ANSWER_BYTES = 1024 * 1024
_READ_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and how soon a message is sent again: after first_s, twice as long each time, at most most_s."""

    attempts: int = 8
    first_s: float = 0.25
    most_s: float = 10.0

    def pauses(self) -> Iterator[float]:
        """The pauses between attempts.

        >>> list(Retry(attempts=5, first_s=1, most_s=3).pauses())
        [1, 2, 3, 3]
        """
        pause = self.first_s
        for _ in range(self.attempts - 1):
            yield min(pause, self.most_s)
            pause *= 2


class Sender:
    """One connection to a receiver, opened when first needed and again when it breaks. Not for several threads."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        timeout_s: float = 30.0,
        retry: Retry | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._address = (host, port)
        self._tls = tls
        self._timeout_s = timeout_s
        self._retry = retry or Retry()
        self._sleep = sleep
        self._socket: socket.socket | None = None
        self._deframer = Deframer(_ANSWER_BYTES)
        self._answers: list[bytes] = []

    def __enter__(self) -> Self:
        """The sender itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self.close()

    def send(self, message: bytes) -> Acknowledgement | None:
        """Send one message; its last acknowledgement, or None where MSH-15 and MSH-16 do not ask for one.

        An answer that says that the message is wrong (AE, AR with a lasting error) is returned, not raised. Raises
        OutcomeError: structure if the message has no MSH, required if it has no MSH-10, transient if after all
        attempts nobody has answered or the receiver was still not able to take it.
        """
        msh = msh_of(message)
        if not msh.control_id:
            raise OutcomeError(
                Issue("required", "The message has no control id to be acknowledged by.", "MSH-10")
            )
        reason = ""
        for pause in (*self._retry.pauses(), None):
            try:
                answer = self._exchange(message, msh)
                if answer is None or not answer.is_passing:
                    return answer
                reason = f"the receiver answers {answer.code} for the moment"
            except OSError as error:
                reason = error.strerror or f"the connection broke ({type(error).__name__})"
            # A second answer to this attempt may still be under way: it must not be taken for one to the next.
            self.close()
            if pause is not None:
                self._sleep(pause)
        host, port = self._address
        text = f"No acknowledgement from {host}:{port} in {self._retry.attempts} attempts: {reason}."
        raise OutcomeError(Issue("transient", text))

    def close(self) -> None:
        """Close the connection; the next send opens a new one."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.close()
        self._socket = None
        self._deframer = Deframer(_ANSWER_BYTES)
        self._answers.clear()

    def _exchange(self, message: bytes, msh: Msh) -> Acknowledgement | None:
        connection = self._socket or self._connect()
        connection.sendall(frame(message))
        answer = None
        for _ in range(_answers_due(msh)):
            answer = self._answer_to(connection, msh.control_id)
            if not answer.is_accepted:
                return answer
        return answer

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(self._address, timeout=self._timeout_s)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_hostname=self._address[0])
        self._socket = connection
        return connection

    def _answer_to(self, connection: socket.socket, control_id: str) -> Acknowledgement:
        """The next acknowledgement of this control id; late answers to earlier messages are passed over."""
        give_up_at = time.monotonic() + self._timeout_s
        while time.monotonic() < give_up_at:
            while self._answers:
                answer = _read(self._answers.pop(0))
                if answer.control_id == control_id or not (answer.control_id or answer.is_accepted):
                    return answer
            data = connection.recv(_READ_BYTES)
            if not data:
                raise ConnectionResetError
            self._answers += [cut.body for cut in self._deframer.feed(data)]
        raise TimeoutError


async def send_async(sender: Sender, message: bytes) -> Acknowledgement | None:
    """`Sender.send` without blocking the loop. One message of one sender at a time."""
    return await asyncio.to_thread(sender.send, message)


def send_all(sender: Sender, messages: Iterable[bytes]) -> Iterator[tuple[str, Acknowledgement | None]]:
    """Send messages in order; each control id with its acknowledgement."""
    for message in messages:
        answer = sender.send(message)
        yield msh_of(message).control_id, answer


def send_file(
    path: Path, host: str, port: int, *, tls: ssl.SSLContext | None = None, retry: Retry | None = None
) -> Iterator[Acknowledgement]:
    """Send the HL7 v2 messages of a file (or folder, or archive) in order; each answer that they ask for.

    Segments go out with the carriage return that the standard demands. Raises OutcomeError as `Sender.send` does,
    and if the path is absent or holds something else.
    """
    with Sender(host, port, tls=tls, retry=retry) as sender:
        for item in items(plan([path])):
            if item.arrival is None or item.arrival.kind != "hl7v2":
                raise OutcomeError(
                    item.issue or Issue("not-supported", "The file does not hold HL7 v2 messages.")
                )
            answer = sender.send(re.sub(rb"\r\n?|\n", b"\r", item.arrival.body) + b"\r")
            if answer is not None:
                yield answer


def _answers_due(msh: Msh) -> int:
    """How many acknowledgements certainly come: a condition of ER or SU may bring none, and is not waited for."""
    if not msh[15].strip() and not msh[16].strip():
        return 1
    return [msh[15].strip(), msh[16].strip()].count("AL")


def _read(raw: bytes) -> Acknowledgement:
    try:
        return acknowledgement_of(raw)
    except OutcomeError:
        # What answers in no language that we know has not acknowledged; the message goes out again.
        raise ConnectionAbortedError from None
