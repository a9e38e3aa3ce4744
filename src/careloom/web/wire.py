"""web.wire: what is no request of HTTP is told so as everything else is: by an OperationOutcome.

Room: web. Touches: the socket of a client whose bytes cannot be read as HTTP. Standard: https://www.rfc-editor.org/rfc/rfc9110
The parser knows the methods that are registered; another one stops it before it has come to the address.
"""

from __future__ import annotations

import sys

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from careloom.fhir.outcome import Issue
from careloom.web.errors import outcome
from careloom.web.security import HEADERS

METHODS = "DELETE, GET, HEAD, PATCH, POST, PUT"


class Wire(HttpToolsProtocol):
    """The protocol of uvicorn, with an answer of our own where it has none."""

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be parsed, and hang up: 405 to a method that nobody knows, else 400."""
        is_method = isinstance(sys.exception(), httptools.HttpParserInvalidMethodError)
        text = f"This method is not known here: use one of {METHODS}." if is_method else msg
        status = 405 if is_method else 400
        answer = outcome([Issue("not-supported" if is_method else "structure", text)], status)
        headers = {**dict(answer.headers), **HEADERS, "Connection": "close"}
        if is_method:
            headers["Allow"] = METHODS
        lines = [f"{name}: {value}\r\n".encode("latin-1") for name, value in headers.items()]
        self.transport.write(STATUS_LINE[status] + b"".join(lines) + b"\r\n" + bytes(answer.body))
        self.transport.close()
