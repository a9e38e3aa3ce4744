"""web.call: one request as a handler sees it: for whom, with what, when; plain and synchronous.

Room: web. May import: store, flow, settings. A handler runs in the small thread pool of web.server (the database
driver is synchronous); it reads through `call.reader()`, which is opened for the signed-in actor and for nobody else.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from jinja2 import Environment
from starlette.responses import HTMLResponse, RedirectResponse, Response

from careloom.fhir.outcome import Issue, OutcomeError, refuse_nul
from careloom.settings import Settings
from careloom.store.actor import Actor, may
from careloom.store.audit import Access, AuditBuffer, Interaction
from careloom.store.blobs import Blob
from careloom.store.database import Connection, Database
from careloom.store.read import Reader
from careloom.web.askers import Askers
from careloom.web.pace import PATIENCE_S
from careloom.web.tokens import Tokens

if TYPE_CHECKING:
    from careloom.flow import Flow
    from careloom.web.live import Live


@dataclass(frozen=True, slots=True)
class Site:
    """What all requests of one process share."""

    settings: Settings
    database: Database
    flow: Flow
    templates: Environment
    live: Live
    audit: AuditBuffer
    tokens: Tokens
    clock: Callable[[], datetime]
    askers: Askers

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which pages tell the time."""
        return ZoneInfo(self.settings.time_zone)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request. `session` is the cookie's token ("" for a Bearer token or a stranger)."""

    site: Site
    method: str
    path: str
    now: datetime
    actor: Actor | None = None
    display: str = ""
    session: str = ""
    csrf: str = ""
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    cookies: Mapping[str, str] = field(default_factory=dict[str, str])
    is_secure: bool = False
    address: str = ""
    mark: int = 0
    """How much news there had been when the request began; a stream that opens later tells what was missed."""
    parts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    body: bytes = b""
    sent: bytes | None = None
    """The body as it came, where `body` is another form of it."""
    blob: Blob | None = None
    """The body, where the road lets it be of any size; `body` is empty then."""
    is_hasty: bool = False
    """True in the event loop: what is asked by `glance`, or of a token, raises Slow rather than wait."""
    connection: Connection | None = None
    """The transaction that this is part of, for an entry of a bundle; None: one of its own."""

    @property
    def who(self) -> Actor:
        """The signed-in actor. Raises OutcomeError(login) on a public road without one."""
        if self.actor is None:
            raise OutcomeError(Issue("login", "Sign in first."))
        return self.actor

    @property
    def raw(self) -> bytes:
        """The body as it came (unpacked)."""
        return self.body if self.sent is None else self.sent

    @contextmanager
    def reader(self) -> Generator[Reader]:
        """Reads for this actor, in one transaction: all that a page shows is of one moment."""
        fresh = self.site.database.connection
        with fresh() if self.connection is None else nullcontext(self.connection) as connection:
            yield Reader(connection, self.who)

    def glance(self) -> Glance:
        """Reads for this actor, each statement by itself: for who asks one question, without a transaction's cost."""
        if self.connection is not None:
            return Glance(nullcontext(self.connection), self.who)
        database = self.site.database
        return Glance(database.glimpse(PATIENCE_S) if self.is_hasty else database.autocommit(), self.who)

    def seen(
        self,
        interaction: Interaction,
        what: str,
        *,
        patient: str = "",
        number: int | None = None,
        parameters: str = "",
        event_id: int | None = None,
    ) -> None:
        """Leave a line in the audit trail: this actor read or searched this (a name, never a value)."""
        self.site.audit.add(
            Access(
                recorded=self.now,
                actor=self.who.id,
                interaction=interaction,
                what=what,
                patient=patient,
                number=number,
                parameters=parameters,
                event_id=event_id,
                address=self.address,
            )
        )

    def asked(self, name: str, default: str = "") -> str:
        """The last value of a query parameter, without blanks around it."""
        return next((value.strip() for key, value in reversed(self.query) if key == name), default)

    def form(self) -> dict[str, str]:
        """The posted form (application/x-www-form-urlencoded)."""
        pairs = parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True)
        refuse_nul(*(part for pair in pairs for part in pair))
        return dict(pairs)

    def may(self, right: str) -> bool:
        """True if the signed-in actor holds the right, or one of several with | between."""
        return self.actor is not None and any(may(self.actor, one) for one in right.split("|"))

    @property
    def is_fragment(self) -> bool:
        """True if htmx asks for a part of a page that is already shown."""
        return self.headers.get("hx-request") == "true"

    def show(self, template: str, **values: object) -> Response:
        """Render a template of web/templates as the answer."""
        return self.show_as(200, template, values)

    def show_as(self, status: int, template: str, values: Mapping[str, object]) -> Response:
        """The same with another status, and the values as a mapping."""
        page = self.site.templates.get_template(template)
        return HTMLResponse(page.render(call=self, settings=self.site.settings, **values), status)

    def go(self, path: str) -> Response:
        """Send the browser on, after a form."""
        return RedirectResponse(path, 303)


class Glance:
    """A Reader for the length of a block."""

    __slots__ = ("_actor", "_loan")

    def __init__(self, loan: AbstractContextManager[Connection], actor: Actor) -> None:
        self._loan = loan
        self._actor = actor

    def __enter__(self) -> Reader:
        return Reader(self._loan.__enter__(), self._actor)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loan.__exit__(kind, error, trace)


def local_path(text: str, default: str = "/") -> str:
    """The path, if it leads to a page of ours; else the default.

    >>> local_path("//evil.example/"), local_path("/tasks/7")
    ('/', '/tasks/7')
    """
    is_ours = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable()
    return text if is_ours else default
