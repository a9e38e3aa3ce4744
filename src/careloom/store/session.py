"""store.session: what one connection remembers between commits: dictionaries, row ids in hand, makers, search parameters.

Room: store. Touches: the tables maker, dictionary, search_catalogue; the sequence rid_block.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from weakref import WeakKeyDictionary

from careloom.fhir.catalogue import R4_ALONE, Catalogue
from careloom.store.catalogue import catalogue_of, stamp_of
from careloom.store.database import Connection
from careloom.store.dictionary import Codec
from careloom.store.fetch import fetch
from careloom.store.hashes import hash64

BLOCK = 1_000
"""Row ids that one call of the sequence gives: its increment."""

SIGN = b"select feed_now(), exists(select from maker where id = %s), catalogue_stamp()"


class Session:
    """The memory of one connection."""

    def __init__(self) -> None:
        self.codec = Codec()
        self._rids: Iterator[int] = iter(())
        self._makers: dict[int, tuple[str, str]] = {}
        self._stamp = 0
        self.catalogue = R4_ALONE
        """The search parameters as this connection last saw them; `current` looks again."""

    def rid(self, connection: Connection, above: int = 0) -> int:
        """A fresh row id, greater than `above` and than all that this connection gave."""
        rid = next(self._rids, 0)
        if rid <= above:
            [(first,)] = fetch(connection, b"select nextval('rid_block')")
            self._rids = iter(range(first + 1, first + BLOCK))
            rid = first
        return rid

    def sign(self, connection: Connection, actor_id: str, agent: str) -> tuple[int, int]:
        """(number of this transaction in the feed, maker.id); the catalogue is then one that this writer may go by."""
        maker = hash64(f"{actor_id}\n{agent}")
        [(tx, is_known, stamp)] = fetch(connection, SIGN, [maker])
        if not is_known:
            sql = "insert into maker values (%s, %s, %s)"
            connection.execute(sql, [maker, actor_id, agent])
        self._know(connection, stamp)
        return tx, maker

    def current(self, connection: Connection) -> Catalogue:
        """The catalogue as it stands now."""
        self._know(connection, stamp_of(connection))
        return self.catalogue

    def _know(self, connection: Connection, stamp: int) -> None:
        if stamp != self._stamp:
            # Two statements: what is read here is of this stamp or of a later one, whose stamp will be seen next time.
            self.catalogue = catalogue_of(connection)
            self._stamp = stamp

    def makers_of(self, connection: Connection, ids: set[int]) -> Mapping[int, tuple[str, str]]:
        """maker.id -> (actor, agent)."""
        unknown = [maker for maker in ids if maker not in self._makers]
        if unknown:
            sql = b"select id, actor, agent from maker where id = any(%s)"
            for maker, actor_id, agent in fetch(connection, sql, [unknown]):
                self._makers[maker] = (actor_id, agent)
        return self._makers


_sessions: WeakKeyDictionary[Connection, Session] = WeakKeyDictionary()


def session_of(connection: Connection) -> Session:
    """The session of a connection."""
    session = _sessions.get(connection)
    if session is None:
        session = _sessions[connection] = Session()
    return session
