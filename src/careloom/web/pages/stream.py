"""web.pages.stream: the live stream of one open page: /live?topic=work, or topic=patient&of=ID.

Room: web. What a topic may hear is decided by the right that its page needs.
"""

from __future__ import annotations

from math import inf

from starlette.responses import Response, StreamingResponse

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import reference_to
from careloom.web.call import Call
from careloom.web.live import ARRIVAL, Stream
from careloom.web.record import record_of
from careloom.web.road import Road, page

CONFINED_S = 30.0
"""Who sees some patients is asked again after so long whom they see: the browser opens the stream anew by itself."""

TOPICS: dict[str, tuple[str, frozenset[str]]] = {
    "work": ("clinical.read", frozenset({"Task"})),
    "patient": ("clinical.read", frozenset()),
    "events": ("event.read", frozenset({ARRIVAL})),
    "health": ("page", frozenset()),
}
"""Topic -> the right that it needs, and the types of which it hears."""


def live(call: Call) -> Response:
    """Open the stream."""
    topic = call.asked("topic")
    right, types = TOPICS.get(topic, ("", frozenset()))
    if not call.may(right):
        raise OutcomeError(Issue("forbidden", "Your role has no such stream."))
    about: frozenset[str] = frozenset()
    if topic == "patient":
        with call.reader() as read:
            record = record_of(read, call.asked("of"))
        about = frozenset(reference_to(patient) for patient in record.patients) | {f"Person/{record.id}"}
    mark = int(call.asked("mark")) if call.asked("mark").isdecimal() else -1
    lasts_s = inf if call.who.patients is None else CONFINED_S
    stream = call.site.live.events(Stream(topic, types, about, mark, lasts_s))
    return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


ROADS: tuple[Road, ...] = (page("/live", "page", live),)
