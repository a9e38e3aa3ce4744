from __future__ import annotations

import random
import threading
import time
from datetime import UTC, datetime

from tests.waiting import WAIT_S

from careloom.store import feed
from careloom.store.commit import Origin, Write, commit
from careloom.store.database import Database
from careloom.store.interest import Interest

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ORIGIN = Origin(NOW, "ehr", event_id=3, depth=1)


def basic(id_: str, text: str = "") -> dict[str, object]:
    return {"resourceType": "Basic", "id": id_, "code": {"text": text}}


def test_a_transaction_that_commits_late_is_not_skipped(database: Database) -> None:
    with database.connection() as reader:
        reader.autocommit = True
        with database.connection() as slow:
            commit(slow, [Write(basic("slow"))], ORIGIN)
            with database.connection() as quick:
                commit(quick, [Write(basic("quick"))], ORIGIN)
            # quick has committed, but slow runs still and might stand before it in the feed.
            before = feed.batch(reader, feed.START)
            assert before.changes == []
        after = feed.batch(reader, before.cursor)
        assert [change.id for change in after.changes] == ["slow", "quick"]
        assert (after.changes[0].event_id, after.changes[0].depth) == (3, 1)
        assert feed.changes(reader, after.cursor) == []
        reader.autocommit = False


def test_every_version_comes_once_while_writers_commit_out_of_order(database: Database) -> None:
    expected: set[tuple[str, int]] = set()
    guard = threading.Lock()

    def writer(seed: int) -> None:
        chance = random.Random(seed)
        for turn in range(25):
            with database.connection() as connection:
                names = sorted({f"r{chance.randrange(12)}" for _ in range(3)})
                writes = [Write(basic(name, f"{seed}.{turn}")) for name in names]
                answers = commit(connection, writes, ORIGIN)
                time.sleep(chance.random() / 200)
            with guard:
                expected.update((answer.id, answer.version) for answer in answers)

    threads = [threading.Thread(target=writer, args=[seed]) for seed in range(4)]
    for thread in threads:
        thread.start()
    seen: list[tuple[str, int]] = []
    cursor = feed.START
    while True:
        running = any(thread.is_alive() for thread in threads)
        with database.connection() as connection:
            batch = feed.batch(connection, cursor, limit=7)
        assert batch.cursor >= cursor
        cursor = batch.cursor
        seen += [(change.id, change.version) for change in batch.changes]
        if not running and not batch.changes:
            break
    assert len(seen) == len(set(seen))
    assert set(seen) == expected
    for name in {id_ for id_, _ in seen}:
        versions = [version for id_, version in seen if id_ == name]
        assert versions == sorted(versions)


def test_a_feed_of_some_types_moves_on_over_the_others(database: Database) -> None:
    with database.connection() as connection:
        commit(connection, [Write(basic(str(n))) for n in range(5)], ORIGIN)
        commit(connection, [Write({"resourceType": "Patient", "id": "p"})], ORIGIN)
    with database.connection() as connection:
        batch = feed.batch(connection, feed.START, interest=Interest({"Patient"}))
        assert [change.rtype for change in batch.changes] == ["Patient"]
        batch = feed.batch(connection, batch.cursor, interest=Interest({"Patient"}))
        assert batch.changes == []
        assert feed.changes(connection, batch.cursor) == []
        assert batch.cursor == feed.head(connection)


def test_a_feed_of_some_codes_tells_what_is_coded_so_what_is_deleted_and_what_was(database: Database) -> None:
    def observation(id_: str, *codes: str, component: str = "") -> Write:
        coding = [{"system": "urn:any", "code": code} for code in codes]
        found = {"resourceType": "Observation", "id": id_, "status": "final", "code": {"coding": coding}}
        part = [{"code": {"coding": [{"code": component}]}}] if component else []
        return Write(found | ({"component": part} if part else {}))

    with database.connection() as connection:
        commit(connection, [observation("first", "x", "y"), observation("second", "y", "x")], ORIGIN)
        commit(connection, [observation("within", "y", component="x"), observation("other", "xy")], ORIGIN)
        commit(connection, [observation("gone", "y"), Write(basic("b"))], ORIGIN)
        commit(connection, [Write({"resourceType": "Observation", "id": "gone"}, verb="delete")], ORIGIN)
    interest = Interest({"Observation", "Basic"}, {"Observation": ("combo-code", ("x",))})
    with database.connection() as connection:
        told = [
            (change.id, change.version) for change in feed.changes(connection, feed.START, interest=interest)
        ]
    assert sorted(told) == [("b", 1), ("first", 1), ("gone", 1), ("gone", 2), ("second", 1), ("within", 1)]


def test_a_deletion_is_a_change(database: Database) -> None:
    with database.connection() as connection:
        commit(connection, [Write(basic("x"))], ORIGIN)
        commit(connection, [Write(basic("x"), verb="delete")], ORIGIN)
    with database.connection() as connection:
        created, deleted = feed.changes(connection, feed.START)
    assert (created.is_deleted, deleted.is_deleted, deleted.version) == (False, True, 2)
    assert deleted.resource == {"resourceType": "Basic", "id": "x"}


def test_a_station_goes_on_where_it_stood_and_only_one_runs_at_a_time(database: Database) -> None:
    with database.connection() as connection:
        commit(connection, [Write(basic("a")), Write(basic("b"))], ORIGIN)
    with database.connection() as connection:
        cursor = feed.cursor_of(connection, "identity")
        (change,) = feed.changes(connection, cursor, limit=1)
        feed.advance(connection, "identity", change.cursor)
    waited: list[feed.Cursor] = []

    def other() -> None:
        with database.connection() as connection:
            waited.append(feed.cursor_of(connection, "identity"))

    thread = threading.Thread(target=other)
    with database.connection() as connection:
        cursor = feed.cursor_of(connection, "identity")
        assert [change.id for change in feed.changes(connection, cursor)] == ["b"]
        thread.start()
        time.sleep(0.05)
        assert waited == []
    thread.join()
    assert waited == [cursor]


def test_a_commit_is_heard(database: Database) -> None:
    with database.listen(feed.CHANNEL) as listener:
        with database.connection() as connection:
            commit(connection, [Write(basic("a"))], ORIGIN)
        assert [notice.channel for notice in listener.wait(WAIT_S)] == [feed.CHANNEL]


def test_after_a_restore_into_a_younger_cluster_the_feed_goes_on(database: Database) -> None:
    with database.connection() as connection:
        commit(connection, [Write(basic("a"))], ORIGIN)
        connection.execute("update res set tx = tx + 1000000000")
    with database.connection() as connection:
        assert feed.changes(connection, feed.START) == []
        feed.rebase(connection)
    with database.connection() as connection:
        assert [change.id for change in feed.changes(connection, feed.START)] == ["a"]
        commit(connection, [Write(basic("b"))], ORIGIN)
    with database.connection() as connection:
        assert [change.id for change in feed.changes(connection, feed.START)] == ["a", "b"]
