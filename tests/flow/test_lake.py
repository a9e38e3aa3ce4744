from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from careloom.flow.lake import Follower, follow
from careloom.lake import compaction
from careloom.lake.build import writing
from careloom.lake.lake import Lake
from careloom.settings import Settings
from careloom.store.commit import Origin, Write, commit
from careloom.store.database import Database

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def say(database: Database, *ids: str) -> None:
    with database.connection() as connection:
        commit(connection, [Write({"resourceType": "Patient", "id": id_}) for id_ in ids], Origin(NOW, "ehr"))


def seen(root: Path) -> int:
    with Lake(root).connection() as duck:
        return duck.execute('select count(*) from "Patient"').fetchall()[0][0]


def test_the_lake_follows_while_it_runs_and_others_write_to_it_in_between(
    database: Database, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path, lake_every_s=0.05, lake_flow_s=0)
    root = tmp_path / "lake"
    say(database, "a")
    leaving = threading.Event()
    thread = threading.Thread(target=follow, args=(database, settings, leaving))
    thread.start()
    try:
        for number in range(6):
            say(database, f"b{number}")
            deadline = time.monotonic() + 30
            while not (root / "published.json").exists() or seen(root) < number + 2:
                assert time.monotonic() < deadline, "the lake did not follow"
                time.sleep(0.05)
            if number == 3:
                with writing(database, root, wait_s=20) as writer:
                    compaction.gather(writer, "Patient")
    finally:
        leaving.set()
        thread.join(20)
    assert seen(root) == 7
    assert not thread.is_alive()


def test_what_comes_while_a_round_works_is_left_to_the_next(database: Database, tmp_path: Path) -> None:
    follower, came = Follower(database, tmp_path), 0

    def somebody_writes() -> bool:
        nonlocal came
        came += 1
        assert came < 5, "a round does not end while something comes"
        say(database, f"p{came}")
        return False

    assert follower.round(somebody_writes) == 1
    say(database, "x")
    assert follower.round() == 1
    assert seen(tmp_path) == 2


def test_small_files_do_not_pile_up(database: Database, tmp_path: Path) -> None:
    follower = Follower(database, tmp_path)
    for number in range(70):
        say(database, f"p{number}")
        assert follower.round() == 1
    assert len(Lake(tmp_path).sources("Patient").parts) < 40
    assert seen(tmp_path) == 70


def test_a_follower_takes_up_what_another_process_has_built(database: Database, tmp_path: Path) -> None:
    follower = Follower(database, tmp_path)
    say(database, "a")
    assert follower.round() == 1
    say(database, "b")
    with writing(database, tmp_path) as writer:
        writer.step()
    say(database, "c")
    assert follower.round() == 1
    assert seen(tmp_path) == 3


def test_a_follower_that_failed_begins_anew_with_what_the_folder_says(
    database: Database, tmp_path: Path
) -> None:
    follower = Follower(database, tmp_path)
    say(database, "a")
    follower.round()
    follower.forget()
    say(database, "b")
    assert follower.round() == 1
    assert seen(tmp_path) == 2


def test_ten_thousand_changes_in_twenty_seconds_are_four_commits_and_the_first_does_not_wait(
    database: Database, tmp_path: Path
) -> None:
    follower = Follower(database, tmp_path, flow_s=5.0)
    assert follower.look(0.0) == 0
    heard: list[int] = []
    for second in range(2, 22):
        say(database, *(f"p{second}-{number}" for number in range(500)))
        heard.append(follower.look(float(second)))
    assert heard == [500, 0, 0, 0, 0, 2500, 0, 0, 0, 0, 2500, 0, 0, 0, 0, 2500, 0, 0, 0, 0]
    assert follower.look(22.0) == 2000
    assert Lake(tmp_path).published.versions == {"Patient": 5}
    # After a quiet time it is taken at the next look.
    say(database, "late")
    assert [follower.look(now) for now in (24.0, 27.0)] == [0, 1]
