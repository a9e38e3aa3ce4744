"""logs: structured log lines, key by key, without patient data.

May import: nothing of careloom. Event names are in past tense (`event_kept`); values are ids, counts and codes.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from types import TracebackType

import structlog

_OURS = "/careloom/"

_SPEAKS_IN_TEMPLATES = ("uvicorn",)
"""Libraries whose log messages are constant texts with arguments: the text may be shown, the arguments never."""


def configure(level: str) -> None:
    """Write log lines of this level and above to standard error.

    Libraries and the interpreter would write what they please, the words of errors with it: they speak through here.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(handlers=[_Discreet()], level=logging.WARNING, force=True)
    logging.captureWarnings(capture=True)
    sys.excepthook = _failed
    sys.unraisablehook = lambda failure: _failed(None, failure.exc_value, failure.exc_traceback)
    threading.excepthook = lambda failure: _failed(None, failure.exc_value, failure.exc_traceback)


def place_of(error: BaseException) -> str:
    """Kind of an error and where it was raised: all that may be logged of it, since its text may quote a row.

    >>> place_of(ValueError("Jane Doe"))
    'ValueError'
    """
    steps = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    if not steps:
        return type(error).__name__
    # Our own line, where a library raised it.
    file, line = next((step for step in reversed(steps) if _OURS in step[0]), steps[-1])
    return f"{type(error).__name__} at {file.rpartition(_OURS)[2]}:{line}"


class _Discreet(logging.Handler):
    """Passes on who spoke, the constant part of what was said, and the kind and place of an error."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        said: object = record.msg
        values: dict[str, str] = {"logger": record.name}
        if isinstance(said, OSError):
            # The operating system's words ("Address already in use") hold no value.
            values["reason"] = said.strerror or type(said).__name__
        elif isinstance(said, str) and record.name.startswith(_SPEAKS_IN_TEMPLATES):
            values["reason"] = said.strip()
        if error is not None:
            values["error"] = place_of(error)
        structlog.get_logger().log(record.levelno, "library_spoke", **values)


def _failed(
    kind: type[BaseException] | None,  # noqa: ARG001 - the signature of a hook
    error: BaseException | None,
    trace: TracebackType | None,  # noqa: ARG001 - as above
) -> None:
    if error is not None and not isinstance(error, KeyboardInterrupt):
        structlog.get_logger().error("failed_unexpectedly", error=place_of(error))
