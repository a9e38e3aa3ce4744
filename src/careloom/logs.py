"""logs: structured log lines, key by key, without patient data.

May import: nothing of careloom. Event names are in past tense (`event_kept`); values are ids, counts and codes.
"""

from __future__ import annotations

import logging
import sys

import structlog


def configure(level: str) -> None:
    """Write log lines of this level and above to standard error."""
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


def place_of(error: BaseException) -> str:
    """Kind of an error and where it was raised: all that may be logged of it, since its text may quote a row.

    >>> place_of(ValueError("Jane Doe"))
    'ValueError'
    """
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    if step is None:
        return type(error).__name__
    file = step.tb_frame.f_code.co_filename.rpartition("careloom/")[2]
    return f"{type(error).__name__} at {file}:{step.tb_lineno}"
