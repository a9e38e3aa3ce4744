"""web.live: pages hear within a moment that something changed (server-sent events), and nothing else.

Room: web. May import: store. Standard: https://html.spec.whatwg.org/multipage/server-sent-events.html

A stream carries the names of what changed and never a patient's value: the page then asks again, as its own actor,
by the same road as ever, so that access is checked in one place. One thread a process listens to the database;
a beat every few seconds lets the page show how old it is, and see when the stream has stopped.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf

import structlog

from careloom.fhir.outcome import OutcomeError
from careloom.fhir.resource import Resource
from careloom.store import events, feed
from careloom.store.actor import STATION
from careloom.store.database import Database, Listener
from careloom.store.feed import Change, Cursor

log = structlog.get_logger(__name__)

BEAT_S = 4.0
"""A stream says at least every so often that it lives; live.js calls it stale after three missed beats."""

GAP_S = 0.4
"""A page is told at most so often; what happens meanwhile is told once, afterwards."""

WAIT_S = 1.0
DEAF_S = 6.0
"""When the database has not answered for this long, the beats stop too: pages must not look live."""

BATCH = 500
SUBJECTS = ("subject", "patient", "for", "beneficiary")
ARRIVAL = "Event"
"""Stands among the types of News when a message has arrived."""


@dataclass(frozen=True, slots=True)
class News:
    """What was committed: the types, and the references of the resources and of their subjects."""

    types: frozenset[str]
    references: frozenset[str]


@dataclass(eq=False, slots=True)
class Stream:
    """One open page: it wants to hear of resource `types`, or of what concerns the references in `about`."""

    topic: str
    types: frozenset[str] = frozenset()
    about: frozenset[str] = frozenset()
    mark: int = -1
    """`Live.mark` when the page was made: if there was news since, the page is told at once to look again."""
    lasts_s: float = inf
    """It ends after this time, and the page asks for another one."""
    queue: asyncio.Queue[str | None] = field(default_factory=lambda: asyncio.Queue(maxsize=1))
    loop: asyncio.AbstractEventLoop | None = None

    def wants(self, news: News) -> bool:
        """True if the page should look again."""
        return not (self.types.isdisjoint(news.types) and self.about.isdisjoint(news.references))

    def offer(self, word: str | None) -> None:
        """Put a word in the queue; if one waits there already, the page will look after this change too."""
        if word is None and self.queue.full():
            self.queue.get_nowait()
        with suppress(asyncio.QueueFull):
            self.queue.put_nowait(word)


class Live:
    """The streams of this process, and the thread that listens for them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._streams: set[Stream] = set()
        self._guard = threading.Lock()
        self._is_over = threading.Event()
        self._listener: Listener | None = None
        self._heard = time.monotonic()
        self._last_event = 0
        self.mark = 0
        """How often there was news."""
        self._thread = threading.Thread(target=self._listen, name="live", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def end_streams(self) -> None:
        """Let every open page go: the server is about to stop."""
        self._is_over.set()
        for stream in self._open():
            if stream.loop and not stream.loop.is_closed():
                stream.loop.call_soon_threadsafe(stream.offer, None)

    def stop(self) -> None:
        """End every stream, and the thread."""
        self.end_streams()
        if self._listener is not None:
            self._listener.wake()
        if self._thread.is_alive():
            self._thread.join(timeout=WAIT_S * 3)

    async def events(self, stream: Stream) -> AsyncIterator[str]:
        """The text of a stream: its topic at each news, a beat else; ends when the page leaves or the server stops."""
        stream.loop = asyncio.get_running_loop()
        with self._guard:
            self._streams.add(stream)
        try:
            yield "event: beat\ndata: open\n\n"
            if stream.mark != self.mark:
                stream.offer(stream.topic)
            until = time.monotonic() + stream.lasts_s
            while not self._is_over.is_set() and (left := until - time.monotonic()) > 0:
                try:
                    word = await asyncio.wait_for(stream.queue.get(), min(BEAT_S, left))
                except TimeoutError:
                    if time.monotonic() - self._heard > DEAF_S:
                        continue
                    word = "beat"
                if word is None:
                    return
                yield f"event: {word}\ndata: {word}\n\n"
                # A burst of changes is told at its beginning and at its end, not a hundred times between.
                await asyncio.sleep(GAP_S)
        finally:
            with self._guard:
                self._streams.discard(stream)

    def publish(self, news: News) -> None:
        """Tell the streams that want it. Called from the listening thread."""
        self.mark += 1
        for stream in self._open():
            if stream.wants(news) and stream.loop and not stream.loop.is_closed():
                stream.loop.call_soon_threadsafe(stream.offer, stream.topic)

    def _open(self) -> Sequence[Stream]:
        with self._guard:
            return tuple(self._streams)

    def _listen(self) -> None:
        while not self._is_over.is_set():
            try:
                with self._database.listen(feed.CHANNEL) as self._listener:
                    self._hear(self._listener)
            except OutcomeError as error:
                log.warning("stream_listener_lost", reason=error.issues[0].code)
                self._is_over.wait(WAIT_S)

    def _hear(self, listener: Listener) -> None:
        with self._database.connection() as connection:
            cursor = feed.head(connection)
        while not self._is_over.is_set():
            # A notification may be lost; the tables are asked after every wait, and an empty answer costs little.
            listener.wait(WAIT_S)
            cursor = self._look(cursor)
            self._heard = time.monotonic()

    def _look(self, cursor: Cursor) -> Cursor:
        if not self._open():
            with self._database.connection() as connection:
                return feed.head(connection)
        with self._database.connection() as connection:
            found, cursor = feed.batch(connection, cursor, BATCH)
            newest = events.events(connection, STATION, limit=1)
        if found:
            self.publish(news_of(found))
        if newest and newest[0].id != self._last_event:
            self._last_event = newest[0].id
            self.publish(News(frozenset({ARRIVAL}), frozenset()))
        return cursor


def news_of(found: Iterable[Change]) -> News:
    """What these changes touched."""
    types: set[str] = set()
    references: set[str] = set()
    for change in found:
        types.add(change.rtype)
        references.add(f"{change.rtype}/{change.id}")
        references.update(subjects_of(change.resource))
    return News(frozenset(types), frozenset(references))


def subjects_of(resource: Resource) -> set[str]:
    """The references to whom a resource is about; of a Person, the Patients that it links.

    >>> subjects_of({"resourceType": "Task", "for": {"reference": "Patient/7"}})
    {'Patient/7'}
    """
    elements = [resource.get(name) for name in SUBJECTS]
    elements += [link.get("target") for link in resource.get("link") or () if isinstance(link, dict)]
    return {
        str(element["reference"])
        for element in elements
        if isinstance(element, dict) and "reference" in element
    }
