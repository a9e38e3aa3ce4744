"""web.auth: who is asking: sign-in, sessions, Bearer tokens; and whether they may walk this road.

Room: web. May import: store.accounts. Standards: RFC 6750 (Bearer tokens), RFC 6265bis (cookies).

A browser holds a session in a cookie and proves each form by its token; a program sends a Bearer token and needs no
proof. Everything else is a stranger, who sees the sign-in page and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from secrets import token_urlsafe
from typing import NamedTuple
from urllib.parse import urlsplit

from starlette.responses import Response

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.store import accounts
from careloom.store.actor import Actor
from careloom.store.database import Slow
from careloom.web.call import Call, Site, local_path
from careloom.web.road import PUBLIC, Road, deed, page
from careloom.web.security import DOOR, SESSION, form_token, refuse_foreign_form, set_cookie

SAFE = frozenset({"GET", "HEAD"})
DOES = {
    "nurse": ("Nurse", "Works through the care team's list, acknowledges and closes tasks."),
    "physician": ("Physician", "Sees what was escalated, reads the whole record."),
    "integration": (
        "Integration engineer",
        "Watches feeds, looks into quarantine, sends messages through again.",
    ),
    "admin": ("Administrator", "Health of the system and pipelines; no clinical data."),
}
"""Role -> its title, and what it does in the demo."""


@dataclass(frozen=True, slots=True)
class Role:
    """One button of the demo's sign-in page."""

    name: str
    title: str
    does: str


def admit(call: Call, right: str) -> None:
    """Let a recognised call onto a road. Raises OutcomeError: login for a stranger, forbidden without the right,
    security for a form that is not of the session."""
    if call.actor is None and right != PUBLIC:
        raise OutcomeError(
            Issue("login", "Sign in first: with a session in a browser, else with a Bearer token.")
        )
    if call.method not in SAFE and "authorization" not in call.headers:
        secret = call.cookies.get(DOOR, "") if right == PUBLIC else call.session
        refuse_foreign_form(call.headers, call.form() if _is_form(call) else {}, secret)
    if right != PUBLIC and not call.may(right):
        text = "Your role does not have this right. Ask an administrator, or sign in as another."
        raise OutcomeError(Issue("forbidden", text))


def _is_form(call: Call) -> bool:
    return call.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")


class Caller(NamedTuple):
    """Who asks; the defaults are a stranger."""

    actor: Actor | None = None
    display: str = ""
    session: str = ""
    csrf: str = ""


STRANGER = Caller()


def recognised(
    site: Site, headers: Mapping[str, str], cookies: Mapping[str, str], now: datetime, *, is_hasty: bool
) -> Caller:
    """Whom a token or a cookie names; a wrong one names nobody. In haste raises Slow if the database must be asked."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme:
        if scheme.lower() != "bearer":
            return STRANGER
        actor = site.tokens.actor(token.strip(), now, is_hasty=is_hasty)
        return Caller(actor, actor.id) if actor else STRANGER
    cookie = cookies.get(SESSION, "")
    if not cookie:
        door = cookies.get(DOOR, "")
        return Caller(csrf=form_token(door)) if door else STRANGER
    if is_hasty:
        raise Slow
    with site.database.autocommit() as connection:
        session = accounts.session_of(connection, cookie, now)
    if session is None:
        return STRANGER
    return Caller(session.actor, session.display, cookie, form_token(cookie))


def door(call: Call) -> Response:
    """The sign-in page; it gives a stranger the cookie that his form is proved by."""
    return _door(call, "")


def enter(call: Call) -> Response:
    """Name and password."""
    form = call.form()
    return _enter(call, form.get("name", ""), form.get("password", ""))


def enter_demo(call: Call) -> Response:
    """One click, in the demo and nowhere else."""
    name = call.form().get("name", "")
    if not call.site.settings.demo or name not in accounts.DEMO_ACCOUNTS:
        raise OutcomeError(Issue("forbidden", "Only the demo lets people in without a password."))
    return _enter(call, name, accounts.DEMO_PASSWORD)


def leave(call: Call) -> Response:
    """End the session."""
    with call.site.database.connection() as connection:
        accounts.sign_out(connection, call.session, call.now)
    # Whoever signs in next at this place begins at their own first page.
    answer = call.go("/sign-in?next=/")
    answer.delete_cookie(SESSION, path="/", httponly=True, samesite="lax")
    # Whatever the browser still holds of the pages goes with the session.
    answer.headers["Clear-Site-Data"] = '"cache", "storage"'
    return answer


def _enter(call: Call, name: str, password: str) -> Response:
    try:
        session = accounts.sign_in(call.site.database, name, password, call.now)
    except OutcomeError as error:
        return _door(call, str(error), error.issues[0].code == "login")
    answer = call.go(local_path(call.form().get("next", "")))
    return set_cookie(answer, SESSION, session.token, is_secure=call.is_secure)


def _door(call: Call, error: str, is_refused: bool = False) -> Response:  # noqa: FBT001, FBT002
    secret = call.cookies.get(DOOR) or token_urlsafe()
    shown = replace(call, actor=None, csrf=form_token(secret))
    names = accounts.DEMO_ACCOUNTS if call.site.settings.demo else {}
    roles = [Role(name, *DOES[name]) for name in names]
    target = local_path(call.asked("next") or call.form().get("next", "") or _left(call))
    values = {"error": error, "next": target, "roles": roles, "name": call.form().get("name", "")}
    answer = shown.show_as(403 if is_refused else 200, "sign_in.html", values)
    return set_cookie(answer, DOOR, secret, is_secure=call.is_secure)


def _left(call: Call) -> str:
    """The page of ours that somebody stood on when the session ended: there they go on."""
    here = urlsplit(call.headers.get("referer", ""))
    is_ours = here.netloc == call.headers.get("host", "") and here.path != "/sign-in"
    return here.path + (f"?{here.query}" if here.query else "") if is_ours else ""


ROADS: tuple[Road, ...] = (
    page("/sign-in", PUBLIC, door),
    deed("/sign-in", PUBLIC, enter),
    deed("/sign-in/demo", PUBLIC, enter_demo),
    deed("/sign-out", "page", leave),
)
