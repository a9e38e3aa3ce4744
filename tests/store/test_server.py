"""Each test has a server of its own, with fsync as in production where a crash is what is tested."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from careloom.fhir.outcome import OutcomeError
from careloom.settings import Settings
from careloom.store import binaries
from careloom.store.postmaster import Place, children, halt, living_postmaster, workers
from careloom.store.server import ensure

NO_SYNC = {"fsync": "off", "shared_buffers": "32MB"}
ROOT = os.geteuid() == 0

USER_OF_THE_SERVER = """
import sys
from pathlib import Path
from careloom.settings import Settings
from careloom.store.server import ensure
server = ensure(Settings(home=Path(sys.argv[1])), options={"fsync": "off", "shared_buffers": "32MB"})
print((server.place.data / "postmaster.pid").read_text().split()[0], flush=True)
sys.stdin.readline()
server.stop()
"""


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="careloom-server-"))
    folder.chmod(0o711)
    yield folder
    halt(Place(folder / "database"))
    shutil.rmtree(folder)


def other_process(home: Path) -> subprocess.Popen[str]:
    environment = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-c", USER_OF_THE_SERVER, str(home)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )


def let_go(process: subprocess.Popen[str]) -> None:
    process.communicate("\n", timeout=60)
    assert process.returncode == 0


def kill_all(place: Place) -> None:
    """Kill -9 of the postmaster and all of its processes."""
    postmaster = living_postmaster(place)
    assert postmaster is not None
    for process in (postmaster, *workers(place)):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)


def test_a_server_starts_answers_and_stops_without_leaving_a_process(home: Path) -> None:
    server = ensure(Settings(home=home), options=NO_SYNC)
    place = Place(home / "database")
    with psycopg.connect(server.url) as connection:
        assert connection.info.server_version >= 160000
        assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        assert connection.execute("SELECT lower('ÄÉ')").fetchone() == ("äé",)
    assert workers(place)
    server.stop()
    server.stop()
    assert living_postmaster(place) is None
    assert workers(place) == []
    assert not (place.data / "postmaster.pid").exists()


def test_the_last_of_several_users_stops_the_server(home: Path) -> None:
    first = ensure(Settings(home=home), options=NO_SYNC)
    second = ensure(Settings(home=home), options=NO_SYNC)
    first.stop()
    with psycopg.connect(second.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    second.stop()
    assert living_postmaster(Place(home / "database")) is None


def test_processes_that_ensure_at_once_share_one_server(home: Path) -> None:
    processes = [other_process(home) for _ in range(3)]
    pids = {process.stdout.readline() for process in processes if process.stdout}
    assert len(pids) == 1
    for process in processes:
        let_go(process)
    assert living_postmaster(Place(home / "database")) is None
    assert workers(Place(home / "database")) == []


def test_a_user_that_was_killed_does_not_keep_the_server_alive(home: Path) -> None:
    process = other_process(home)
    assert process.stdout
    process.stdout.readline()
    process.kill()
    process.communicate()
    server = ensure(Settings(home=home), options=NO_SYNC)
    server.stop()
    assert living_postmaster(Place(home / "database")) is None


def test_every_acknowledged_row_is_there_after_kill_9_of_everything(home: Path) -> None:
    server = ensure(Settings(home=home))
    place = Place(home / "database")
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TABLE t (n int)")
    acknowledged: list[int] = []

    def insert(worker: int) -> None:
        with (
            contextlib.suppress(psycopg.OperationalError),
            psycopg.connect(server.url, autocommit=True) as connection,
        ):
            for n in range(worker, 10_000_000, 3):
                connection.execute("INSERT INTO t VALUES (%s)", [n])
                acknowledged.append(n)

    threads = [threading.Thread(target=insert, args=[worker]) for worker in range(3)]
    for thread in threads:
        thread.start()
    while len(acknowledged) < 300:
        time.sleep(0.01)
    kill_all(place)
    for thread in threads:
        thread.join()
    again = ensure(Settings(home=home))
    with psycopg.connect(again.url) as connection:
        present = {n for (n,) in connection.execute("SELECT n FROM t")}
    assert set(acknowledged) <= present
    again.stop()
    server.stop()


def test_a_zombie_postmaster_counts_as_dead_for_its_parent_and_for_others(home: Path) -> None:
    ensure(Settings(home=home), options=NO_SYNC)
    place = Place(home / "database")
    first = children[place.data]
    kill_all(place)
    # Nobody has waited for it yet: this process is its parent.
    while psutil.Process(first.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert living_postmaster(place) is None
    process = other_process(home)
    assert process.stdout
    assert int(process.stdout.readline()) != first.pid
    server = ensure(Settings(home=home), options=NO_SYNC)
    let_go(process)
    kill_all(place)
    ensure(Settings(home=home), options=NO_SYNC).stop()
    server.stop()


@pytest.mark.conformance
def test_children_that_outlive_their_postmaster_are_seen_out_before_the_next_start(home: Path) -> None:
    server = ensure(Settings(home=home), options=NO_SYNC)
    place = Place(home / "database")
    with psycopg.connect(server.url, autocommit=True) as connection:
        backend = psutil.Process(connection.info.backend_pid)
        # A stopped backend cannot notice that its postmaster is gone.
        backend.send_signal(signal.SIGSTOP)
        postmaster = living_postmaster(place)
        assert postmaster is not None
        postmaster.kill()
        again = ensure(Settings(home=home), options=NO_SYNC)
        assert not backend.is_running() or backend.status() == psutil.STATUS_ZOMBIE
    again.stop()
    server.stop()


def test_an_initdb_that_was_killed_leaves_nothing_in_the_way(home: Path) -> None:
    half = home / "database" / "data.half"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    ensure(Settings(home=home), options=NO_SYNC).stop()
    assert not half.exists()


def test_a_long_home_puts_the_socket_elsewhere(home: Path) -> None:
    deep = home / ("d" * 60) / ("e" * 60)
    server = ensure(Settings(home=deep), options=NO_SYNC)
    place = Place(deep / "database")
    with psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert place.socket.stat().st_mode & 0o777 == 0o700
    server.stop()
    place.socket.rmdir()


def test_a_server_that_cannot_start_says_why_in_one_sentence(home: Path) -> None:
    ensure(Settings(home=home), options=NO_SYNC).stop()
    (home / "database" / "data" / "local.conf").write_text("shared_buffers = 'plenty'\n")
    with pytest.raises(OutcomeError, match=r"did not start: .*invalid value .*shared_buffers.*plenty"):
        ensure(Settings(home=home), options={"fsync": "off"})
    assert living_postmaster(Place(home / "database")) is None


def test_data_of_a_version_that_is_not_installed_is_refused(home: Path) -> None:
    ensure(Settings(home=home), options=NO_SYNC).stop()
    (home / "database" / "data" / "PG_VERSION").write_text("12\n")
    with pytest.raises(OutcomeError, match="made by PostgreSQL 12"):
        ensure(Settings(home=home), options=NO_SYNC)


def test_a_home_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(OutcomeError, match="cannot be written"):
        ensure(Settings(home=tmp_path / "home"))


def test_a_url_is_used_as_it_is_and_nothing_is_started(postgres_url: str, tmp_path: Path) -> None:
    server = ensure(Settings(home=tmp_path, database_url=postgres_url))
    server.stop()
    assert server.url == postgres_url
    assert not (tmp_path / "database").exists()
    with psycopg.connect(postgres_url):
        pass


def test_a_url_that_does_not_answer_is_one_sentence_without_the_password() -> None:
    with pytest.raises(OutcomeError, match="does not answer") as refusal:
        ensure(Settings(database_url="postgresql://careloom:geheim@127.0.0.1:1/careloom"))
    assert "geheim" not in str(refusal.value)


@pytest.mark.skipif(not ROOT, reason="only root drops to another user")
def test_root_runs_the_server_as_another_user_and_keeps_its_directories_closed(home: Path) -> None:
    server = ensure(Settings(home=home), options=NO_SYNC)
    place = Place(home / "database")
    postmaster = living_postmaster(place)
    assert postmaster is not None
    assert postmaster.uids().real != 0
    assert postmaster.gids().real != 0
    for folder in (place.data, place.socket):
        assert folder.stat().st_uid == postmaster.uids().real
        assert folder.stat().st_mode & 0o777 == 0o700
    server.stop()


@pytest.mark.skipif(not ROOT, reason="only root drops to another user")
def test_programs_that_the_user_cannot_reach_are_copied_once(home: Path) -> None:
    who = binaries.runner(home / "database" / "data")
    closed = home / "closed"
    closed.mkdir(mode=0o700)
    best = binaries.installed()[0]
    shutil.copytree(best.folder.parent, closed / "pg", symlinks=True)
    hidden = binaries.Programs(closed / "pg" / "bin", best.version)
    assert not binaries.may_enter(hidden.folder, who)
    copy = binaries.reachable(hidden, who, home)
    answer = subprocess.run(
        [copy.folder / "postgres", "--version"], capture_output=True, check=True, **who.options()
    )
    assert b"PostgreSQL" in answer.stdout
    assert binaries.reachable(hidden, who, home) == copy
    assert binaries.reachable(best, who, home) == best or not binaries.may_enter(best.folder, who)


@pytest.mark.skipif(not ROOT, reason="only root drops to another user")
def test_a_home_that_the_user_cannot_enter_is_one_sentence(home: Path) -> None:
    home.chmod(0o700)
    with pytest.raises(OutcomeError, match=r"cannot enter .* set CARELOOM_HOME"):
        ensure(Settings(home=home))


@pytest.mark.skipif(not ROOT, reason="only root mounts")
def test_a_full_disk_is_one_sentence(home: Path) -> None:
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", home], capture_output=True, check=False
    ).returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        with pytest.raises(OutcomeError, match=r"full: free at least \d+ MB"):
            ensure(Settings(home=home))
    finally:
        subprocess.run(["umount", home], check=True)
