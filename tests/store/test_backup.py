from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from careloom.fhir.outcome import OutcomeError
from careloom.settings import Settings
from careloom.store import feed
from careloom.store.actor import STATION
from careloom.store.audit import Access, record, seal, verify_chain
from careloom.store.backup import backup, restore
from careloom.store.blobs import Blobs
from careloom.store.commit import Origin, Write, commit
from careloom.store.database import Database
from careloom.store.doctor import database_log, examine
from careloom.store.event import Arrival
from careloom.store.events import event, keep
from careloom.store.identity_key import identity_key
from careloom.store.postmaster import Place, halt
from careloom.store.read import Reader
from careloom.store.server import ensure

NOW = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
LARGE = b"".join(n.to_bytes(8, "big") for n in (pow(3, n, 2**61 - 1) for n in range(300_000)))


@pytest.fixture
def homes() -> Iterator[tuple[Settings, Settings]]:
    """A home with data (its server held by the test), and an empty one."""
    root = Path(tempfile.mkdtemp(prefix="careloom-backup-"))
    root.chmod(0o711)
    full, empty = Settings(home=root / "full"), Settings(home=root / "empty")
    server = ensure(full, options={"fsync": "off"})
    database = Database(server.url)
    database.migrate()
    for n in range(2):
        with database.connection() as connection:
            # Far ahead of a younger cluster, as the numbers of one that has run for years are.
            connection.execute("UPDATE feed_base SET base = base + 1000000")
            keep(connection, Arrival("ehr", "hl7v2", b"MSH", key=f"M{n}"), NOW)
            commit(connection, [Write({"resourceType": "Basic", "id": f"b{n}"})], Origin(NOW, "ehr"))
            record(connection, Access(NOW, "ehr", "transaction"))
        with database.connection() as connection:
            assert seal(connection, NOW) == 1
    with database.connection() as connection:
        keep(connection, Arrival("pacs", "dicom", LARGE, key="I1"), NOW, Blobs(full.home / "blobs"))
    yield full, empty
    database.close()
    server.stop()
    halt(Place(empty.home / "database"))
    shutil.rmtree(root)


def test_what_was_backed_up_comes_back_and_goes_on(homes: tuple[Settings, Settings], tmp_path: Path) -> None:
    full, empty = homes
    key = identity_key(full.home)
    assert "Backed up" in backup(full, tmp_path / "monday")
    assert (tmp_path / "monday").stat().st_mode & 0o777 == 0o700
    assert "3 events and 1 blobs" in restore(empty, tmp_path / "monday")
    assert identity_key(empty.home) == key
    server = ensure(empty, options={"fsync": "off"})
    database = Database(server.url)
    with database.connection() as connection:
        assert event(connection, 3, STATION, Blobs(empty.home / "blobs")).body == LARGE
        assert Reader(connection, STATION).resource("Basic", "b1") is not None
        assert keep(connection, Arrival("ehr", "hl7v2", b"MSH", key="M1"), NOW).is_duplicate
    with database.connection() as connection:
        commit(connection, [Write({"resourceType": "Basic", "id": "after"})], Origin(NOW, "ehr"))
        record(connection, Access(NOW, "ehr", "create"))
    with database.connection() as connection:
        assert [change.id for change in feed.changes(connection, feed.START)] == ["b0", "b1", "after"]
        assert seal(connection, NOW) == 1
        assert verify_chain(connection) is None
    database.close()
    with pytest.raises(OutcomeError, match="holds data already"):
        restore(empty, tmp_path / "monday")
    server.stop()


def test_a_damaged_backup_restores_nothing(homes: tuple[Settings, Settings], tmp_path: Path) -> None:
    full, empty = homes
    backup(full, tmp_path / "monday")
    with pytest.raises(OutcomeError, match="exists already"):
        backup(full, tmp_path / "monday")
    dump = tmp_path / "monday" / "database.dump"
    dump.write_bytes(dump.read_bytes()[:-1] + b"x")
    with pytest.raises(OutcomeError, match=r"damaged: database\.dump"):
        restore(empty, tmp_path / "monday")
    assert not empty.home.exists()
    with pytest.raises(OutcomeError, match="no backup"):
        restore(empty, tmp_path)


def test_the_doctor_finds_a_healthy_store_healthy_and_names_what_is_not(
    homes: tuple[Settings, Settings],
) -> None:
    full, _ = homes
    healthy = {finding.name: finding for finding in examine(Settings(home=full.home, port=0, mllp_port=0))}
    assert healthy["database"].ok
    assert healthy["audit chain"].ok
    assert not healthy["queue"].ok
    assert "look whether the engine runs" in healthy["queue"].sentence
    sick = {finding.name: finding for finding in examine(Settings(home=full.home, time_zone="Mars/Base"))}
    assert not sick["time zone"].ok


def test_the_doctor_says_so_when_the_database_does_not_answer(tmp_path: Path) -> None:
    findings = examine(Settings(home=tmp_path, database_url="postgresql://127.0.0.1:1/x"))
    (database,) = [finding for finding in findings if finding.name == "database"]
    assert not database.ok
    assert "does not answer" in database.sentence


def test_a_home_that_was_never_started_comes_back_as_one_that_starts(
    homes: tuple[Settings, Settings], tmp_path: Path
) -> None:
    _, empty = homes
    backup(empty, tmp_path / "nothing")
    assert "Restored" in restore(empty, tmp_path / "nothing")


def test_a_database_at_a_url_is_backed_up_and_restored_into_another(
    homes: tuple[Settings, Settings], tmp_path: Path
) -> None:
    full, empty = homes
    url = Place(full.home / "database").url()
    assert "Backed up" in backup(Settings(home=full.home, database_url=url), tmp_path / "by-url")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE other")
    target = Settings(home=empty.home, database_url=Place(full.home / "database").url("other"))
    assert "3 events and 1 blobs" in restore(target, tmp_path / "by-url")
    database = Database(target.database_url)
    with database.connection() as connection:
        assert event(connection, 3, STATION, Blobs(empty.home / "blobs")).body == LARGE
        assert Reader(connection, STATION).resource("Basic", "b1") is not None
        assert verify_chain(connection) is None
    database.close()
    with pytest.raises(OutcomeError, match="holds data already"):
        restore(target, tmp_path / "by-url")


def test_the_doctor_sees_a_server_that_writes_values_to_its_log(homes: tuple[Settings, Settings]) -> None:
    full, _ = homes
    database = Database(Place(full.home / "database").url())
    with database.connection() as connection:
        assert database_log(connection).ok
        connection.execute("SET LOCAL log_min_duration_statement = 0; SET LOCAL log_min_messages = 'warning'")
        finding = database_log(connection)
    database.close()
    assert not finding.ok
    assert "log_min_duration_statement = 0, log_min_messages = warning" in finding.sentence
