"""verify.lake_store: a store with messages, bundles, changes and deletions for the checks of the lake, and what it holds.

Room: verify. Everything comes by the front doors of flow.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from careloom.fhir.outcome import OutcomeError
from careloom.fhir.resource import dumps
from careloom.flow import Flow
from careloom.lake.build import Told, quiet, writing
from careloom.lake.lake import Lake
from careloom.lake.sight import When
from careloom.settings import Settings
from careloom.store import feed
from careloom.store.actor import Actor
from careloom.store.database import Database
from careloom.store.event import Arrival
from careloom.store.feed import Cursor
from careloom.store.server import database_served
from careloom.store.stored import Stored
from careloom.verify.archive import files
from careloom.verify.messages import messages
from careloom.verify.scratch import scratch_home
from careloom.verify.search_oracle import SYNTHEA

CLINIC = Actor("clinic", frozenset({"source"}))

DELETED = 7
"""Of so many changes one is a deletion."""

Held = dict[tuple[str, str], tuple[int, bytes]]
"""Type and id -> version and body."""


@dataclass(frozen=True)
class Shore:
    """A store and the folder of its lake."""

    database: Database
    flow: Flow
    root: Path

    def build(self, rows: int = 50_000, told: Told = quiet) -> int:
        """Feed the lake with all there is; how many versions came."""
        with writing(self.database, self.root, told) as writer:
            return sum(iter(lambda: writer.step(rows), 0))

    def accept(self, bundles: Sequence[bytes], hl7: Sequence[bytes]) -> None:
        """Take in bundles and messages, each kept as an Event."""
        for number, body in enumerate(bundles):
            self.flow.accept(Arrival("synthea", "fhir", body, key=f"bundle-{number}"))
        for number, body in enumerate(hl7):
            self.flow.accept(Arrival("his", "hl7v2", body, key=f"message-{number}"))

    def change(self, count: int, chance: random.Random) -> None:
        """Change resources drawn by lot, one after the other: some are deletions, and what was deleted comes again."""
        with self.database.connection() as connection:
            known = [stored for _, stored in feed.stretch(connection, feed.START, 1_000_000).versions]
        for number in range(count):
            stored = chance.choice(known)
            # A version that was drawn may have been deleted meanwhile, or its type may not be deleted.
            with suppress(OutcomeError):
                if number % DELETED == DELETED - 1:
                    self.flow.delete(stored.rtype, stored.id, CLINIC)
                elif not stored.is_deleted:
                    body = stored.resource() | {"language": chance.choice(("en", "de", "fr", "it", "es"))}
                    self.flow.update(stored.rtype, stored.id, dumps(body), CLINIC)

    def feed(self) -> Iterator[tuple[Cursor, Stored]]:
        """Every version, in the order of the feed."""
        after = feed.START
        while True:
            with self.database.connection() as connection:
                part = feed.stretch(connection, after, 5_000)
            yield from part.versions
            if not part.versions:
                return
            after = part.cursor

    def seen(self, when: When = None) -> Held:
        """What the lake shows."""
        lake = Lake(self.root)
        found: Held = {}
        with lake.connection(when=when) as duck:
            for rtype in lake.types:
                for id_, version, raw in duck.execute(
                    f'select id, version_id, raw from "{rtype}"'
                ).fetchall():
                    # Twice the same would be an error: it makes a version that no store has.
                    found[rtype, id_] = (-1, b"") if (rtype, id_) in found else (version, raw.encode())
        return found

    def rows(self, root: Path | None = None) -> dict[str, list[tuple[object, ...]]]:
        """Each table's versions with their ends, in order."""
        lake = Lake(root or self.root)
        columns = "id, version_id, seq_from, seq_to, is_deleted, is_aside, event_id, agent, md5(raw)"
        with lake.connection(versions=True) as duck:
            return {
                rtype: duck.execute(f'select {columns} from "{rtype}_versions" order by all').fetchall()
                for rtype in lake.types
            }


@contextmanager
def shore(name: str) -> Generator[Shore]:
    """An empty store in a scratch home, gone afterwards."""
    with scratch_home(name) as home:
        settings = Settings(home=home, identity_salt="a secret of the checks")
        with database_served(settings) as database:
            yield Shore(database, Flow(database, settings), home / "lake")


def synthea(settings: Settings, count: int) -> list[bytes]:
    """The first bundles of the public suite; none where it is absent."""
    archive = settings.conformance / SYNTHEA
    return [raw for _, raw in sorted(files(archive))[:count]] if archive.exists() else []


def hl7(count: int) -> list[bytes]:
    """Admissions and vital signs."""
    return messages(count, 7)
