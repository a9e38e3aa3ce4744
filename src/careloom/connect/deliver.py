"""connect.deliver: bytes out: one connection to a destination, and what the receiver says to each message.

Room: connect. May import: fhir. A destination is a URL: `mllp://host:port`, or `mllps://host:port` for TLS.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from careloom.connect.mllp_send import Retry, Sender
from careloom.fhir.outcome import Issue, OutcomeError

ONCE = Retry(attempts=1)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one attempt. `text` holds codes of ours and of the standard, never free text of the receiver."""

    is_taken: bool
    is_final: bool
    """False: the same message is to be sent again later."""
    text: str


class Courier:
    """Delivers to one destination; opens its connection when first needed and again when it breaks."""

    def __init__(self, destination: str, *, timeout_s: float = 30.0) -> None:
        url = address_of(destination)
        tls = ssl.create_default_context() if url[0] == "mllps" else None
        self._sender = Sender(url[1], url[2], tls=tls, timeout_s=timeout_s, retry=ONCE)

    def __enter__(self) -> Self:
        """The courier itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection."""
        self._sender.close()

    def deliver(self, body: bytes) -> Answer:
        """Send one HL7 v2 message, and wait for its acknowledgement."""
        try:
            answer = self._sender.send(body)
        except OutcomeError as error:
            [issue, *_] = error.issues
            return Answer(is_taken=False, is_final=issue.code != "transient", text=issue.text)
        if answer is None:
            return Answer(is_taken=True, is_final=True, text="")
        return Answer(answer.is_accepted, is_final=True, text=answer.code)


def address_of(destination: str) -> tuple[str, str, int]:
    """(scheme, host, port). Raises OutcomeError(value) that says how a destination is written.

    >>> address_of("mllp://lab.example.org:2575")
    ('mllp', 'lab.example.org', 2575)
    """
    url = urlsplit(destination)
    try:
        port = url.port
    except ValueError:
        port = None
    if url.scheme not in {"mllp", "mllps"} or not url.hostname or not port or url.path.strip("/"):
        text = f"{destination!r} is no destination: write mllp://host:port, or mllps://host:port for TLS."
        raise OutcomeError(Issue("value", text))
    return url.scheme, url.hostname, port
