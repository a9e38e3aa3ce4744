from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.store.actor import STATION, Actor
from careloom.store.blobs import Blobs
from careloom.store.database import Database
from careloom.store.event import Arrival
from careloom.store.events import Filter, counts, event, events, keep, ledger, settle, settled, waiting_s
from careloom.store.ledger import LedgerLine

NOW = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
MESSAGE = Arrival("ehr", "hl7v2", b"MSH|^~\\&|EHR|WARD\rPID|1\r", key="M1")


def test_bytes_come_back_as_they_came_even_if_they_are_no_text(database: Database) -> None:
    body = bytes(range(256)) * 9
    with database.connection() as connection:
        receipt = keep(connection, Arrival("lab", "hl7v2", body), NOW)
        kept = event(connection, receipt.event_id, STATION)
    assert (kept.body, kept.received, kept.status, kept.attempts) == (body, NOW, "received", 0)


def test_a_resend_answers_with_the_first_receipt_and_what_became_of_it(database: Database) -> None:
    with database.connection() as connection:
        first = keep(connection, MESSAGE, NOW)
        settle(
            connection,
            first.event_id,
            "quarantined",
            issues=[Issue("required", "No name.", "PID-5")],
        )
        again = keep(connection, MESSAGE, NOW + timedelta(hours=1))
    assert not first.is_duplicate
    assert (again.event_id, again.status, again.is_duplicate) == (first.event_id, "quarantined", True)
    assert again.issues == (Issue("required", "No name.", "PID-5"),)


def test_other_bytes_under_the_same_key_are_kept_with_a_note(database: Database) -> None:
    with database.connection() as connection:
        first = keep(connection, MESSAGE, NOW)
        other = keep(connection, Arrival("ehr", "hl7v2", b"MSH|other", key="M1"), NOW)
        again = keep(connection, MESSAGE, NOW)
    assert other.event_id != first.event_id
    assert [issue.severity for issue in other.issues] == ["information"]
    assert again.event_id == first.event_id


def test_settled_tells_what_needs_no_second_look(database: Database) -> None:
    asked = [("files", "fhir", key) for key in ("done", "quarantined", "received", "absent")]
    with database.connection() as connection:
        for source, kind, key in asked[:3]:
            receipt = keep(connection, Arrival(source, kind, key.encode(), key), NOW)
            if key != "received":
                settle(connection, receipt.event_id, "done" if key == "done" else "quarantined")
        assert settled(connection, asked) == set(asked[:2])
        assert settled(connection, [("lab", "fhir", "done")]) == settled(connection, []) == set()


@pytest.mark.parametrize("change", [{"source": "lab"}, {"kind": "fhir"}, {"key": ""}])
def test_the_same_bytes_of_another_source_kind_or_without_a_key_are_another_event(
    database: Database, change: dict[str, str]
) -> None:
    arrival = Arrival(**{"source": "ehr", "kind": "hl7v2", "body": MESSAGE.body, "key": "M1"} | change)  # type: ignore[arg-type]
    with database.connection() as connection:
        first = keep(connection, MESSAGE, NOW)
        second = keep(connection, arrival, NOW)
        third = keep(connection, arrival, NOW)
    assert first.event_id != second.event_id
    assert (third.event_id == second.event_id) == bool(arrival.key)


def test_threads_that_keep_the_same_message_at_once_keep_it_once(database: Database) -> None:
    receipts = []

    def send() -> None:
        with database.connection() as connection:
            receipts.append(keep(connection, MESSAGE, NOW))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({receipt.event_id for receipt in receipts}) == 1
    assert sum(not receipt.is_duplicate for receipt in receipts) == 1


def test_a_ledger_and_the_issues_come_back_and_each_settling_counts(database: Database) -> None:
    lines = (
        LedgerLine("PID-5[1].1", "mapped", "Patient/x.name[0].family"),
        LedgerLine("ZZ1-1", "kept_raw", "no table for ZZ1"),
        LedgerLine("OBX#3-5", "rejected", "not a number"),
    )
    issues = (Issue("value", "Not a number.", "OBX#3-5", "warning"),)
    with database.connection() as connection:
        number = keep(connection, MESSAGE, NOW).event_id
        assert ledger(connection, number, STATION) == ()
        settle(connection, number, "quarantined")
        settle(connection, number, "done", issues=issues, ledger=lines, agent="hl7v2/1")
        assert ledger(connection, number, STATION) == lines
        kept = event(connection, number, STATION)
        (line,) = events(connection, STATION)
    assert (kept.status, kept.attempts, kept.issues) == ("done", 2, issues)
    assert (line.agent, line.size_bytes) == ("hl7v2/1", len(MESSAGE.body))


def test_a_large_body_goes_to_a_blob_and_comes_back(database: Database, tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    body = b"".join(n.to_bytes(8, "big") for n in (pow(3, n, 2**61 - 1) for n in range(300_000)))
    with database.connection() as connection:
        number = keep(connection, Arrival("pacs", "dicom", body), NOW, blobs).event_id
        assert len(list(blobs.names())) == 1
        assert event(connection, number, STATION, blobs).body == body
        with pytest.raises(OutcomeError, match="no folder of blobs"):
            event(connection, number, STATION)


def test_lists_filter_and_page_newest_first(database: Database) -> None:
    with database.connection() as connection:
        for n in range(10):
            arrival = Arrival("ehr" if n % 2 else "lab", "hl7v2", b"%d" % n, key=f"CTRL-{n}")
            number = keep(connection, arrival, NOW + timedelta(minutes=n)).event_id
            if n < 4:
                settle(connection, number, "done")

        def keys(which: Filter, **page: int) -> list[str]:
            return [line.key for line in events(connection, STATION, which, **page)]

        assert keys(Filter(), limit=3) == ["CTRL-9", "CTRL-8", "CTRL-7"]
        third = events(connection, STATION, limit=3)[-1].id
        assert keys(Filter(), before=third, limit=2) == ["CTRL-6", "CTRL-5"]
        assert keys(Filter(source="ehr", status="done")) == ["CTRL-3", "CTRL-1"]
        assert keys(Filter(key="rl-7")) == ["CTRL-7"]
        assert keys(Filter(kind="fhir")) == []
        window = Filter(since=NOW + timedelta(minutes=2), until=NOW + timedelta(minutes=4))
        assert keys(window) == ["CTRL-3", "CTRL-2"]
        assert counts(connection, STATION) == {
            ("ehr", "done"): 2,
            ("ehr", "received"): 3,
            ("lab", "done"): 2,
            ("lab", "received"): 3,
        }
        assert waiting_s(connection, NOW + timedelta(minutes=10)) == 360.0


def test_who_has_no_right_reads_nothing(database: Database) -> None:
    admin = Actor("root", frozenset({"admin"}))
    held = Actor("app", frozenset({"nurse"}), patients=frozenset({"Patient/1"}))
    with database.connection() as connection:
        number = keep(connection, MESSAGE, NOW).event_id
        for actor in (admin, held, Actor("nobody")):
            for ask in (
                lambda: event(connection, number, actor),  # noqa: B023
                lambda: ledger(connection, number, actor),  # noqa: B023
                lambda: events(connection, actor),  # noqa: B023
            ):
                with pytest.raises(OutcomeError) as refusal:
                    ask()
                assert refusal.value.issues[0].code == "forbidden"
        assert counts(connection, admin) == {("ehr", "received"): 1}
        assert waiting_s(connection, NOW) == 0.0


def test_an_event_that_is_not_there_is_said_so(database: Database) -> None:
    with database.connection() as connection, pytest.raises(OutcomeError, match="no event 77"):
        event(connection, 77, STATION)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bodies=st.lists(st.binary(max_size=40), min_size=1, max_size=6), order=st.randoms())
def test_keeping_in_any_order_and_again_gives_the_same_set(
    database: Database, bodies: list[bytes], order: st.DataObject
) -> None:
    with database.autocommit() as connection:
        connection.execute("truncate event cascade")
        arrivals = [Arrival("ehr", "hl7v2", body, key="K") for body in bodies] * 2
        order.shuffle(arrivals)  # type: ignore[attr-defined]
        for arrival in arrivals:
            keep(connection, arrival, NOW)
        kept = sorted(event(connection, line.id, STATION).body for line in events(connection, STATION))
    assert kept == sorted(set(bodies))
