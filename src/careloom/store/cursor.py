"""store.cursor: the place in an ordered list where the next page begins, as an opaque word for a URL.

Room: store. Pure. A cursor holds no patient's value that the page before it did not show, and none is trusted: a
cursor only says after which row to go on; what may be seen is decided anew on every page.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Any

import msgspec

from careloom.fhir.outcome import Issue, OutcomeError


def cursor_text(values: Sequence[Any]) -> str:
    """The word for these values (int, float, str, datetime, None).

    >>> cursor_values(cursor_text((7, "x")), (int, str))
    [7, 'x']
    """
    return urlsafe_b64encode(msgspec.json.encode(values)).rstrip(b"=").decode()


def cursor_values(text: str, types: Sequence[type]) -> list[Any]:
    """The values of a word, of these types. Raises OutcomeError(invalid) for any other word."""
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        values = msgspec.json.decode(raw, type=list[Any])
        return [msgspec.convert(value, kind) for value, kind in zip(values, types, strict=True)]
    except (ValueError, msgspec.MsgspecError):
        text = "This page cannot be found: begin again from the first page."
        raise OutcomeError(Issue("invalid", text)) from None
