"""lake.asking: what is said between who asks a statement and the process that runs it: one Request, then frames.

Room: lake. May import: nothing that knows an engine; whoever asks never loads one. The process: lake.asker.

A frame is a letter, its length in four bytes, and that many bytes. The process says `ready` once; then, of each request, `head`
(JSON), any number of `body`, and `end` (JSON), or at any time `wrong` (JSON, a list of issues).
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Literal

import msgspec

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.store.actor import Actor

Work = Literal["tables", "rows", "check", "kept"]
Form = Literal["page", "json", "csv", "parquet", "xlsx"]
READY, HEAD, BODY, END, WRONG = b"R", b"H", b"B", b"E", b"X"
LENGTH = 4
COMMAND = (sys.executable, "-m", "careloom.lake.asker")
"""How the process is started; it is spoken to on its standard input and output."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked; an empty one cancels what runs."""

    work: Work = "rows"
    database: str = ""
    root: str = ""
    views: str = ""
    """The folder of the site's own."""
    actor: str = ""
    roles: tuple[str, ...] = ()
    patients: tuple[str, ...] | None = None
    sql: str = ""
    values: dict[str, str | int | float | bool | None] = {}
    dates: tuple[str, ...] = ()
    """Names among the values that are dates."""
    kept: bytes = b""
    """An answer that was kept, as Parquet, to be told in another form."""
    columns: tuple[tuple[str, str], ...] = ()
    """Its columns with their types."""
    form: Form = "page"
    rows: int = 1_000
    seconds: float = 30.0

    @property
    def who(self) -> Actor:
        """For whom it is asked."""
        patients = None if self.patients is None else frozenset(self.patients)
        return Actor(self.actor, frozenset(self.roles), patients)


def asks_for(actor: Actor, database: str, root: Path, views: Path | None = None, **more: Any) -> Request:
    """A request in the name of an actor."""
    patients = None if actor.patients is None else tuple(sorted(actor.patients))
    return Request(
        actor=actor.id, roles=tuple(sorted(actor.roles)), patients=patients, database=database, root=str(root),
        views=str(views or ""), **more,
    )  # fmt: skip


def written(request: Request | None) -> bytes:
    """A request as it is sent; None: cancel.

    >>> read_request(written(Request(sql="select 1"))[LENGTH:]).sql
    'select 1'
    """
    raw = msgspec.msgpack.encode(request) if request else b""
    return len(raw).to_bytes(LENGTH) + raw


def read_request(raw: bytes) -> Request:
    """The same, as it is read."""
    return msgspec.msgpack.decode(raw, type=Request)


def framed(letter: bytes, payload: bytes) -> bytes:
    """A frame as it is sent."""
    return letter + len(payload).to_bytes(LENGTH) + payload


def told(payload: bytes) -> Mapping[str, Any]:
    """What a head or an end says."""
    return msgspec.json.decode(payload)


def wrong(payload: bytes) -> OutcomeError:
    """What a `wrong` says."""
    return OutcomeError(*msgspec.json.decode(payload, type=list[Issue]))


class Answer(msgspec.Struct, frozen=True):
    """All that was answered, at once."""

    columns: tuple[tuple[str, str], ...]
    body: bytes
    count: int
    is_cut: bool


START_S = 120.0
"""So long a process may take to load its engines on a busy machine."""
GRACE_S = 5.0


def ask(request: Request, most: int) -> Answer:
    """Ask in a process of its own and wait. `most`: bytes of the answer. Raises OutcomeError."""
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        guard = threading.Timer(request.seconds + START_S + GRACE_S, process.kill)
        guard.start()
        try:
            assert process.stdin  # noqa: S101 - it was started with pipes
            assert process.stdout  # noqa: S101
            process.stdin.write(written(request))
            process.stdin.flush()
            return _whole(process.stdout, most)
        except (EOFError, BrokenPipeError):
            text = (
                "The process of the statement ended: it took too long, or needed more memory than there is."
            )
            raise OutcomeError(Issue("too-costly", text)) from None
        finally:
            guard.cancel()
            process.kill()


def _whole(source: IO[bytes], most: int) -> Answer:
    columns: Mapping[str, Any] = {"columns": ()}
    parts: list[bytes] = []
    size = 0
    while True:
        letter, raw = _frame(source)
        if letter == WRONG:
            raise wrong(raw)
        if letter == HEAD:
            columns = told(raw)
        elif letter == BODY:
            parts.append(raw)
            size += len(raw)
            if size > most:
                text = f"The answer has more than {most // 10**6} MB: ask for less."
                raise OutcomeError(Issue("too-costly", text))
        elif letter == END:
            end = told(raw)
            names = tuple((str(name), str(kind)) for name, kind in columns["columns"])
            return Answer(names, b"".join(parts), int(end.get("count", 0)), bool(end.get("isCut", False)))


def _frame(source: IO[bytes]) -> tuple[bytes, bytes]:
    head = source.read(1 + LENGTH)
    length = int.from_bytes(head[1:])
    raw = source.read(length)
    if len(head) < 1 + LENGTH or len(raw) < length:
        raise EOFError
    return head[:1], raw
