"""lake.errand: long work in a process of its own, which gives bytes while it works: web holds none of its memory.

Room: lake. Started as `python -m careloom.lake.errand`: orders come on standard input one after the other, each with its
length; the bytes go to standard output in frames, so that the end of all is told from the end of a process that was killed.

A frame: one byte (`d` data, `e` issues as JSON, `z` the end), four of length, the content. A process that came to its
end waits for the next order (to start one takes half a second); one that was left, or was too slow, is killed.
"""

from __future__ import annotations

import os
import select
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import IO, Any

import msgspec

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import dumps, loads

AT_ONCE = 2
"""Processes at the same time."""
WAIT_S = 3.0
"""So long an errand waits for others: whoever serves pages has few threads."""
NICENESS = 2
GRACE_S = 10
"""A process whose parent is gone ends by itself, so long after its time."""
IDLE_S = 600.0
"""Without an order for so long, a process leaves."""
TOO_LONG = Issue("too-costly", "This took longer than it may: narrow it, or ask for less.")
_GONE = Issue("exception", "The process that did this is gone; nothing was changed. Try again.")
_HEAD = struct.Struct("!cI")
_LENGTH = struct.Struct("!I")

_places = threading.BoundedSemaphore(AT_ONCE)
_waiting: list[_Errand] = []


@contextmanager
def sent(target: str, order: Mapping[str, Any], seconds: float) -> Generator[Iterator[bytes]]:
    """What `target` (`module:function`) makes of the order, in a process that is killed after `seconds`.

    Raises OutcomeError, as the function does; throttled where too many are at work; too-costly when the time is up.
    """
    if not _places.acquire(timeout=WAIT_S):
        raise OutcomeError(Issue("throttled", "Other work of this kind is running: ask again in a moment."))
    try:
        errand = _ready()
        timer = threading.Timer(seconds, errand.stop)
        timer.daemon = True
        timer.start()
        try:
            errand.told({"target": target, "seconds": seconds, "order": order})
            yield errand.pieces()
        finally:
            timer.cancel()
            if errand.is_done and not errand.is_late:
                _waiting.append(errand)
            else:
                errand.end()
    finally:
        _places.release()


def _ready() -> _Errand:
    while _waiting:
        errand = _waiting.pop()
        if errand.process.poll() is None:
            return errand
        errand.end()
    return _Errand()


class _Errand:
    """One process."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.is_done = False
        """Whether it came to the end of its order."""
        self.is_late = False
        """Whether its time was up."""

    def told(self, order: Mapping[str, Any]) -> None:
        self.is_done = False
        raw = dumps(dict(order))
        # A process that is gone has its say in what it wrote, or did not.
        with suppress(BrokenPipeError):
            if self.process.stdin is not None:
                self.process.stdin.write(_LENGTH.pack(len(raw)) + raw)
                self.process.stdin.flush()

    def stop(self) -> None:
        self.is_late = True
        self.process.kill()

    def pieces(self) -> Iterator[bytes]:
        out = self.process.stdout
        while out is not None and len(head := out.read(_HEAD.size)) == _HEAD.size:
            kind, size = _HEAD.unpack(head)
            content = out.read(size)
            self.is_done = kind != b"d" and len(content) == size
            if kind == b"z":
                return
            if kind == b"e":
                raise OutcomeError(*(Issue(**one) for one in msgspec.json.decode(content)))
            if len(content) == size:
                yield content
        raise OutcomeError(TOO_LONG if self.is_late else _GONE)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()


def main() -> None:
    """The process: order after order."""
    os.nice(NICENESS)
    source, out = sys.stdin.buffer, sys.stdout.buffer
    while (
        select.select([source], [], [], IDLE_S)[0] and len(head := source.read(_LENGTH.size)) == _LENGTH.size
    ):
        told: dict[str, Any] = loads(source.read(*_LENGTH.unpack(head)))
        signal.alarm(int(told["seconds"]) + GRACE_S)
        try:
            _run(told, out)
        except BrokenPipeError:
            os._exit(1)
        signal.alarm(0)


def _run(told: Mapping[str, Any], out: IO[bytes]) -> None:
    module, _, name = str(told["target"]).partition(":")
    work: Callable[[Mapping[str, Any]], Iterator[bytes]] = getattr(import_module(module), name)
    try:
        for piece in work(told["order"]):
            _frame(out, b"d", piece)
    except OutcomeError as error:
        issues = [
            {"code": one.code, "text": one.text, "expression": one.expression, "severity": one.severity}
            for one in error.issues
        ]
        _frame(out, b"e", msgspec.json.encode(issues))
    else:
        _frame(out, b"z", b"")


def _frame(out: IO[bytes], kind: bytes, content: bytes) -> None:
    out.write(_HEAD.pack(kind, len(content)) + content)
    out.flush()


if __name__ == "__main__":
    main()
