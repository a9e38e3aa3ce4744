"""web.pages.messages: every message that arrived, the newest first, by source, status, kind and time; and quarantine.

Room: web. May import: store.events.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from starlette.responses import Response

from careloom.store.events import EventLine, Filter, beginnings, counts, events
from careloom.web.call import Call
from careloom.web.choice import Choice
from careloom.web.exhibit import message_type
from careloom.web.road import Road, deed, page
from careloom.web.wording import moment

MOST = 50
LONGEST = 120
"""Letters of an issue in the list."""

STATUSES = {
    "received": ("Waiting", "still"),
    "done": ("Done", "good"),
    "quarantined": ("Quarantined", "soon"),
    "superseded": ("Superseded", "still"),
}
KINDS = ("hl7v2", "fhir")


@dataclass(frozen=True, slots=True)
class Row:
    """One message."""

    id: int
    received: str
    source: str
    kind: str
    type: str
    """MSH-9 of HL7 v2, "" of others."""
    key: str
    size: str
    status: str
    tone: str
    issue: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """The filter as it stands in the form."""

    source: str
    status: str
    kind: str
    since: str
    until: str
    key: str
    """Text in the sender's key; posted, since a file's name or a number in it may be a person's."""


def messages(call: Call) -> Response:
    """The page."""
    key = call.form().get("key", "").strip() if call.method == "POST" else ""
    chosen = Chosen(
        source=call.asked("source"),
        status=call.asked("status"),
        kind=call.asked("kind"),
        since=call.asked("since"),
        until=call.asked("until"),
        key=key,
    )
    which = Filter(
        source=chosen.source,
        status=chosen.status,
        kind=chosen.kind,
        key=chosen.key,
        since=_time(call, chosen.since),
        until=_time(call, chosen.until),
    )
    before = int(call.asked("before")) if call.asked("before").isdigit() else None
    with call.site.database.connection() as connection:
        found = events(connection, call.who, which, before=before, limit=MOST + 1)
        counted = counts(connection, call.who)
        hl7 = [line.id for line in found[:MOST] if line.kind == "hl7v2"]
        types = {one: message_type(text) for one, text in beginnings(connection, call.who, hl7).items()}
    query = [(name, value) for name, value in call.query if name != "before" and value]
    older = (
        f"/messages?{urlencode([*query, ('before', str(found[MOST - 1].id))])}"
        if len(found) > MOST and not key
        else ""
    )
    return call.show(
        "messages.html",
        rows=[_row(call, line, types.get(line.id, "")) for line in found[:MOST]],
        chosen=chosen,
        sources=sorted({source for source, _ in counted}),
        statuses=[Choice(code, title) for code, (title, _) in STATUSES.items()],
        kinds=KINDS,
        quarantined=sum(count for (_, status), count in counted.items() if status == "quarantined"),
        older=older,
        here=f"/messages?{urlencode(query)}",
    )


def _time(call: Call, text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=call.site.zone) if text else None
    except ValueError:
        return None


def _row(call: Call, line: EventLine, mtype: str) -> Row:
    title, tone = STATUSES.get(line.status, (line.status, ""))
    first = next((issue for issue in line.issues if issue.is_error), None) or next(iter(line.issues), None)
    issue = f"{first.expression}: {first.text}" if first and first.expression else first.text if first else ""
    return Row(
        id=line.id,
        received=moment(line.received, call.site.zone, seconds=True),
        source=line.source,
        kind=line.kind,
        type=mtype,
        key=line.key,
        size=f"{line.size_bytes:,}",
        status=title,
        tone=tone,
        issue=issue if len(issue) <= LONGEST else f"{issue[:LONGEST]}…",
    )


ROADS: tuple[Road, ...] = (
    page("/messages", "event.read", messages),
    deed("/messages", "event.read", messages),
)
