"""connect.folder: watch a folder, and take in each file that is complete.

Room: connect. May import: fhir, store. Touches: the watched folder: files move from it to `done/` or `quarantine/`.

A file is complete when its size and time have stood still for a while, which holds at once for one that is renamed
into the folder and then left alone. It is moved only after all of it is kept, and its keys come from its content, so a
crash between the two takes it again without effect. Names that begin with a dot or end in .tmp, .part, .partial or
.filepart are files that somebody still writes.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog
from watchfiles import watch as changes

from careloom.connect.ack import verdict_of
from careloom.connect.sources import items, plan
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.store.event import Arrival, Receipt

_log = structlog.get_logger(__name__)
DONE, QUARANTINE = "done", "quarantine"
_HALF = (".tmp", ".part", ".partial", ".filepart")
_RETRY_S = 10.0


@dataclass(slots=True)
class _Seen:
    """How a file looked, since when it has looked so, and when it may be tried."""

    size_and_time: tuple[int, int]
    since: float
    not_before: float = 0.0


def watch(
    folder: Path,
    accept: Callable[[Arrival], Receipt],
    stop: threading.Event,
    *,
    source: str = "",
    settle_s: float = 1.0,
) -> None:
    """Take in what lies in the folder and what comes, until `stop` is set. Blocks; run it in a thread.

    Files of all kinds that `sources.items` reads are taken, archives too. A file of which something is in quarantine
    or cannot be read goes to `quarantine/` with a `.reason` file beside it; what of it could be kept is kept. While
    `accept` is not able (the database is away) the file stays and is tried again. Raises OutcomeError if the folder
    cannot be used.
    """
    _prepare(folder)
    seen: dict[Path, _Seen] = {}
    wake = changes(
        folder,
        stop_event=stop,
        recursive=False,
        rust_timeout=int(settle_s * 1000),
        yield_on_timeout=True,
        raise_interrupt=False,
    )
    _log.info("folder_watched", settle_s=settle_s)
    for _ in _first_then(wake):
        for file in _complete(folder, seen, settle_s):
            if stop.is_set():
                return
            if not take(file, accept, source=source):
                seen[file].not_before = time.monotonic() + _RETRY_S


def take(file: Path, accept: Callable[[Arrival], Receipt], *, source: str = "") -> bool:
    """Take one file in and move it; False if that was not possible for the moment, and it stays."""
    reasons: list[str] = []
    count = 0
    if not file.exists():
        return True
    for item in items(plan([file]), source):
        if item.arrival is None:
            reasons.append(_reason(item.issue))
            continue
        count += 1
        try:
            receipt = accept(item.arrival)
        except Exception as error:  # noqa: BLE001 - whatever fails, the watch goes on
            if verdict_of(error).application == "AR":
                _log.warning("file_not_taken", error=type(error).__name__)
                return False
            reasons.append(str(error))
        else:
            if receipt.status == "quarantined":
                texts = [_reason(issue) for issue in receipt.issues] or ["It stands in quarantine."]
                reasons += [f"Event {receipt.event_id}: {text}" for text in texts]
    if not count and not reasons:
        reasons.append("The file is empty.")
    try:
        _move(file, reasons)
    except OSError as error:
        _log.error("file_not_moved", error=type(error).__name__)
        return False
    _log.info("file_taken", arrivals=count, reasons=len(reasons))
    return True


def _first_then(wake: Iterator[object]) -> Iterator[None]:
    """Once for what lay there before, then at every change and every time-out."""
    yield
    for _ in wake:
        yield


def _prepare(folder: Path) -> None:
    try:
        for name in ("", DONE, QUARANTINE):
            (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        text = f"The watched folder {folder} cannot be used: {error.strerror}."
        raise OutcomeError(Issue("processing", text)) from None


def _complete(folder: Path, seen: dict[Path, _Seen], settle_s: float) -> list[Path]:
    """Files that have stood still, in the order of their names."""
    now = time.monotonic()
    present: dict[Path, _Seen] = {}
    for file in sorted(folder.iterdir()):
        if file.name.startswith(".") or file.name.endswith(_HALF) or not file.is_file():
            continue
        try:
            stat = file.stat()
        except FileNotFoundError:
            continue
        looks = (stat.st_size, stat.st_mtime_ns)
        known = seen.get(file)
        present[file] = known if known and known.size_and_time == looks else _Seen(looks, now)
    seen.clear()
    seen.update(present)
    return [
        file for file, as_seen in seen.items() if now >= max(as_seen.since + settle_s, as_seen.not_before)
    ]


def _reason(issue: Issue | None) -> str:
    if issue is None:
        return ""
    return f"{issue.expression}: {issue.text}" if issue.expression else issue.text


def _move(file: Path, reasons: list[str]) -> None:
    """The reason is written first, so that no file ever lies in quarantine without one."""
    folder = file.parent / (QUARANTINE if reasons else DONE)
    target = folder / file.name
    if target.exists():
        # Another file of this name came before; the hash tells them apart, and the same content finds its own place.
        digest = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
        target = folder / f"{file.stem}.{digest}{file.suffix}"
    if reasons:
        target.with_name(target.name + ".reason").write_text("\n".join(reasons) + "\n", encoding="utf-8")
    file.rename(target)
