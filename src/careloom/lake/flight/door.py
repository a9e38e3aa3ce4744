"""lake.flight.door: who asks: an account by name and password once, then by the session's token; a program by its token.

Room: lake. May import: store.accounts, pyarrow. Nobody comes in without; what one may see is decided by lake.sandbox.
"""

# pyarrow has no types.
# pyright: reportUnknownParameterType=false, reportUntypedBaseClass=false, reportMissingTypeStubs=false

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pyarrow import flight

from careloom.fhir.outcome import OutcomeError
from careloom.store.accounts import actor_of_session, actor_of_token, sign_in
from careloom.store.actor import Actor
from careloom.store.database import Database

NAME = "door"
_NOBODY = "Sign in by name and password, or by a token: `careloom account add`, `careloom token create`."


class Guest(flight.ServerMiddleware):
    """One call, and who makes it; a handshake is answered with the token of its session."""

    def __init__(self, actor: Actor, token: str = "") -> None:
        self.actor = actor
        self._token = token

    def sending_headers(self) -> dict[str, str]:
        """What goes back in the head of the answer."""
        return {"authorization": f"Bearer {self._token}"} if self._token else {}


class Door(flight.ServerMiddlewareFactory):
    """Lets a call in or refuses it."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        super().__init__()
        self._database = database
        self._clock = clock

    def start_call(self, info: Any, headers: Mapping[str, Sequence[str]]) -> Guest:
        """Raises FlightUnauthenticatedError for who is nobody."""
        said = next((values[0] for name, values in headers.items() if name.lower() == "authorization"), "")
        scheme, _, rest = said.partition(" ")
        if scheme.lower() == "basic" and info.method == flight.FlightMethod.HANDSHAKE:
            return self._by_password(rest)
        if scheme.lower() == "bearer" and (actor := self._by_token(rest.strip())) is not None:
            return Guest(actor)
        raise flight.FlightUnauthenticatedError(_NOBODY)

    def _by_password(self, said: str) -> Guest:
        try:
            # Go's driver leaves the padding out.
            told = said.strip().rstrip("=")
            name, _, password = (
                base64.b64decode(told + "=" * (-len(told) % 4), validate=True).decode().partition(":")
            )
            session = sign_in(self._database, name, password, self._clock())
        except (binascii.Error, UnicodeDecodeError):
            raise flight.FlightUnauthenticatedError(_NOBODY) from None
        except OutcomeError as error:
            raise flight.FlightUnauthenticatedError(str(error)) from None
        return Guest(session.actor, session.token)

    def _by_token(self, token: str) -> Actor | None:
        with self._database.connection() as connection:
            now = self._clock()
            return actor_of_token(connection, token, now) or actor_of_session(connection, token, now)


class Handshake(flight.ServerAuthHandler):
    """The old way to sign in, of which nothing is asked: the door has looked at the head of the call."""

    def authenticate(self, outgoing: Any, incoming: Any) -> None:
        """Say nothing."""

    def is_valid(self, token: bytes) -> bytes:
        """Every call has passed the door."""
        del token
        return b""
