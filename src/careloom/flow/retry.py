"""flow.retry: a transaction that lost a race is run again.

Room: flow.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from careloom.fhir.outcome import OutcomeError
from careloom.store.database import is_transient

T = TypeVar("T")

WAITS_S = (0.01, 0.05, 0.2, 0.5)


def retried(work: Callable[[], T], *, also: frozenset[str] = frozenset()) -> T:
    """Run `work`; run it again after a deadlock, a lost connection, or an issue whose code is in `also`."""
    for wait in WAITS_S:
        try:
            return work()
        except Exception as error:
            if not (is_transient(error) or _has(error, also)):
                raise
        time.sleep(wait)
    return work()


def _has(error: Exception, codes: frozenset[str]) -> bool:
    return isinstance(error, OutcomeError) and any(issue.code in codes for issue in error.issues)
