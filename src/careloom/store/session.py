"""store.session: what one connection remembers between commits: dictionaries, row ids in hand, known makers.

Room: store. Touches: the tables maker, dictionary; the sequence rid_block.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from weakref import WeakKeyDictionary

from careloom.store.database import Connection
from careloom.store.dictionary import Codec
from careloom.store.fetch import fetch
from careloom.store.hashes import hash64

BLOCK = 1_000
"""Row ids that one call of the sequence gives: its increment."""

SIGN = b"select feed_now(), exists(select from maker where id = %s)"


class Session:
    """The memory of one connection."""

    def __init__(self) -> None:
        self.codec = Codec()
        self._rids: Iterator[int] = iter(())
        self._makers: dict[int, tuple[str, str]] = {}

    def rid(self, connection: Connection, above: int = 0) -> int:
        """A fresh row id, greater than `above` and than all that this connection gave."""
        rid = next(self._rids, 0)
        if rid <= above:
            row = connection.execute("select nextval('rid_block')").fetchone()
            first: int = row[0] if row else 0
            self._rids = iter(range(first + 1, first + BLOCK))
            rid = first
        return rid

    def sign(self, connection: Connection, actor_id: str, agent: str) -> tuple[int, int]:
        """(number of this transaction in the feed, maker.id)."""
        maker = hash64(f"{actor_id}\n{agent}")
        [(tx, is_known)] = fetch(connection, SIGN, [maker])
        if not is_known:
            sql = "insert into maker values (%s, %s, %s)"
            connection.execute(sql, [maker, actor_id, agent])
        return tx, maker

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
