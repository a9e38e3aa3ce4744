from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.waiting import WAIT_S

from careloom.fhir.outcome import OutcomeError
from careloom.store import audit
from careloom.store.actor import STATION, Actor
from careloom.store.audit import Access, AuditBuffer, Lines, accesses, record, record_many, seal, verify_chain
from careloom.store.audit_event import to_audit_event
from careloom.store.database import Database

NOW = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
ADMIN = Actor("lucia", frozenset({"admin"}))
READ = Access(NOW, "amina", "read", what="Patient/7", patient="Patient/7", address="127.0.0.1")
ALL = Access(NOW, "ehr", "transaction", 8, "Bundle", "Patient/1", 12, 34, "code,date", "::1")


def sealed(database: Database) -> int:
    with database.connection() as connection:
        return seal(connection, NOW)


def sealed_all(database: Database) -> int:
    """Seal all rows; the horizon waits for transactions of other tests on the same server, too."""
    with database.connection() as connection:
        (last,) = connection.execute("SELECT coalesce(max(tx), 0) FROM audit").fetchone() or (0,)
    while True:
        with database.connection() as connection:
            (horizon,) = connection.execute("SELECT feed_horizon()").fetchone() or (0,)
            if horizon > last:
                return seal(connection, NOW)
        time.sleep(0.01)


def broken(database: Database) -> int | None:
    with database.connection() as connection:
        return verify_chain(connection)


def tamper(database: Database, sql: str) -> None:
    with database.connection() as connection:
        connection.execute("ALTER TABLE audit DISABLE TRIGGER USER")
        connection.execute("ALTER TABLE audit_seal DISABLE TRIGGER USER")
        connection.execute(sql.encode())


@pytest.fixture
def trail(database: Database) -> Database:
    for n in range(9):
        with database.connection() as connection:
            record(connection, Access(NOW, f"actor{n}", "read", what=f"Patient/{n}"))
        if n % 3 == 2:
            assert sealed_all(database) == 3
    return database


def test_one_by_one_and_many_at_once_come_back_the_same(database: Database) -> None:
    with database.connection() as connection:
        record(connection, ALL)
        record_many(connection, [ALL, READ])
        record_many(connection, [])
        assert [line for _, line in accesses(connection, ADMIN)] == [READ, ALL, ALL]
        assert [line for _, line in accesses(connection, ADMIN, Lines(who="amina"))] == [READ]
        ((last, line),) = accesses(connection, ADMIN, Lines(patient="Patient/1"), limit=1)
        assert line == ALL
        assert len(accesses(connection, ADMIN, before=last)) == 1


def test_a_transaction_that_is_rolled_back_leaves_no_line(database: Database) -> None:
    with database.connection() as connection:
        record(connection, READ)
        connection.rollback()
        assert accesses(connection, ADMIN) == []


def test_only_who_may_read_the_trail_reads_it(database: Database) -> None:
    with database.connection() as connection, pytest.raises(OutcomeError, match=r"audit\.read"):
        accesses(connection, STATION)


def test_an_untouched_chain_holds(trail: Database) -> None:
    assert broken(trail) is None
    assert sealed(trail) == 0


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit SET actor = 'x'", "DELETE FROM audit", "TRUNCATE audit", "DELETE FROM audit_seal"],
)
def test_the_trail_is_append_only(trail: Database, statement: str) -> None:
    with pytest.raises(psycopg.errors.RaiseException, match="append-only"), trail.connection() as connection:
        connection.execute(statement.encode())


@pytest.mark.parametrize(
    ("deed", "first"),
    [
        ("UPDATE audit SET actor = 'somebody else' WHERE id = 5", 4),
        ("UPDATE audit SET recorded = recorded + interval '1 microsecond' WHERE id = 1", 1),
        ("DELETE FROM audit WHERE id = 9", 7),
        ("DELETE FROM audit WHERE id IN (4, 5, 6)", 4),
        ("UPDATE audit SET tx = 1 WHERE id = 9", 1),
        ("UPDATE audit_seal SET sealed = now(), number = 2 WHERE n = 2", 4),
        ("DELETE FROM audit_seal WHERE n = 1", 4),
        ("UPDATE audit_seal SET hash = sha256(hash) WHERE n = 1", 1),
    ],
)
def test_what_is_changed_removed_or_put_between_breaks_its_link(
    trail: Database, deed: str, first: int
) -> None:
    tamper(trail, deed)
    assert broken(trail) == first


def test_a_transaction_that_is_still_open_is_sealed_after_it_ends(database: Database) -> None:
    with database.connection() as slow:
        record(slow, READ)
        with database.connection() as quick:
            record(quick, ALL)
        assert sealed(database) == 0
    assert sealed_all(database) == 2
    assert broken(database) is None


def test_two_sealers_at_once_make_one_chain(trail: Database) -> None:
    leaving = threading.Event()
    sealers = [
        threading.Thread(target=lambda: [sealed(trail) for _ in iter(leaving.is_set, True)]) for _ in range(3)
    ]
    for sealer in sealers:
        sealer.start()
    for n in range(60):
        with trail.connection() as connection:
            record(connection, Access(NOW, str(n), "read"))
    leaving.set()
    for sealer in sealers:
        sealer.join()
    sealed_all(trail)
    assert broken(trail) is None
    with trail.connection() as connection:
        row = connection.execute("SELECT sum(number) FROM audit_seal").fetchone()
    assert row == (69,)


def test_reads_are_written_by_themselves_and_a_sealer_thread_seals_them(database: Database) -> None:
    buffer = AuditBuffer(database)
    buffer.add(READ)
    began = time.monotonic()
    lines: list[tuple[int, Access]] = []
    while not lines and time.monotonic() < began + WAIT_S:
        time.sleep(0.01)
        with database.connection() as connection:
            lines = accesses(connection, ADMIN)
    assert [line for _, line in lines] == [READ]
    buffer.add(ALL)
    buffer.close()
    leaving = threading.Event()
    leaving.set()
    audit.seal_until(database, leaving)
    sealed_all(database)
    with database.connection() as connection:
        assert connection.execute("SELECT sum(number) FROM audit_seal").fetchone() == (2,)


def test_lines_wait_while_the_database_is_away_and_too_many_stop_the_readers(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "MOST_WAITING", 3)
    with database.connection() as connection:
        connection.execute("ALTER TABLE audit RENAME TO away")
    buffer = AuditBuffer(database, every_s=0.01)
    for _ in range(3):
        buffer.add(READ)

    def read_on() -> None:
        for _ in range(9):
            buffer.add(READ)
            time.sleep(0.001)

    with pytest.raises(OutcomeError, match="try again"):
        read_on()
    with database.connection() as connection:
        connection.execute("ALTER TABLE away RENAME TO audit")
    buffer.close()
    with database.connection() as connection:
        assert len(accesses(connection, ADMIN)) >= 3


def test_a_line_reads_as_an_audit_event() -> None:
    event = to_audit_event(5, READ)
    assert (event["id"], event["action"], event["outcome"]) == ("5", "R", "0")
    assert event["entity"] == [
        {
            "what": {"reference": "Patient/7"},
            "role": {
                "system": "http://terminology.hl7.org/CodeSystem/object-role",
                "code": "1",
                "display": "Patient",
            },
        }
    ]
    search = to_audit_event(
        6, Access(NOW, "amina", "search-type", what="Patient", parameters="birthdate,name")
    )
    assert search["entity"][0]["detail"] == [{"type": "parameters", "valueString": "birthdate,name"}]
    login = to_audit_event(7, Access(NOW, "amina", "login", 4))
    assert (login["type"]["code"], login["subtype"][0]["code"], login["outcome"]) == ("110114", "110122", "4")


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
ACCESS = st.builds(
    Access,
    recorded=st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    actor=TEXT,
    what=st.sampled_from(["", "Patient", "Patient/1"]),
    patient=st.sampled_from(["", "Patient/1"]),
    parameters=TEXT,
    address=TEXT,
    number=st.none() | st.integers(0, 9),
    event_id=st.none() | st.integers(1, 2**62),
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(ACCESS, max_size=4), max_size=4))
def test_any_lines_sealed_at_any_time_make_a_chain_that_holds(
    database: Database, batches: list[list[Access]]
) -> None:
    for batch in batches:
        with database.connection() as connection:
            record_many(connection, batch)
        assert sealed_all(database) == len(batch)
    assert broken(database) is None


def test_every_interaction_and_entity_is_valid_fhir() -> None:
    validate = pytest.importorskip("careloom.fhir.validate").validate
    for interaction in ("read", "search-type", "transaction", "login"):
        for what in ("", "Patient", "Observation/2"):
            access = Access(NOW, "a", interaction, 4, what, "Patient/1", 3, 4, "code", "127.0.0.1")
            assert validate(to_audit_event(1, access)) == []


def test_the_columns_are_the_fields() -> None:
    assert list(Access._fields) == audit.COLUMNS.split(", ")


def test_the_decision_says_what_the_code_does() -> None:
    text = (Path(__file__).parents[2] / "docs/decisions/0021-audit-chain.md").read_text()
    assert "200 ms" in text
    assert audit.FLUSH_EVERY_S == 0.2
    assert audit.SEAL_EVERY_S == 5.0
