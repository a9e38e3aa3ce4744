"""store.report, store.reports, store.report_runs: what is kept of reports, when they are due, and who may open what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as some

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.store import report_runs, reports
from careloom.store.actor import Actor
from careloom.store.database import Database
from careloom.store.report import Draft, Parameter, Period, Plan, Schedule, bound, next_due, refuse_schedule
from careloom.store.report_runs import Result

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
OWNER = Actor("berg", frozenset({"physician"}))
PEER = Actor("other", frozenset({"physician"}))
ENGINEER = Actor("nair", frozenset({"integration"}))
NURSE = Actor("haddad", frozenset({"nurse"}))
DAILY = Schedule("daily", at="06:30")


def saved(database: Database, *shared: str, **more: object) -> str:
    with database.connection() as connection:
        return reports.save(connection, OWNER, Draft("Beds", "", "select 1", shared=shared, **more), NOW)  # type: ignore[arg-type]


def scheduled(database: Database, when: Schedule = DAILY) -> str:
    id_ = saved(database)
    with database.connection() as connection:
        reports.schedule(connection, OWNER, id_, Plan(when, next_due(when, NOW, BERLIN)), NOW)
    return id_


def posted(database: Database, now: datetime) -> int:
    with database.connection() as connection:
        return report_runs.post_due(connection, now, lambda when: next_due(when, now, BERLIN))


def test_a_private_report_is_there_for_its_owner_alone_and_a_shared_one_for_the_role(
    module_database: Database,
) -> None:
    own, shared = saved(module_database), saved(module_database, "integration")
    with module_database.connection() as connection:
        assert {one.id for one in reports.reports(connection, OWNER)} >= {own, shared}
        assert own not in {one.id for one in reports.reports(connection, PEER)}
        assert shared in {one.id for one in reports.reports(connection, ENGINEER)}
        for actor, id_, code in (
            (PEER, own, "not-found"),
            (ENGINEER, own, "not-found"),
            (NURSE, shared, "forbidden"),
        ):
            with pytest.raises(OutcomeError) as caught:
                reports.report(connection, id_, actor)
            assert caught.value.issues[0].code == code
        for deed in (
            lambda: reports.save(connection, ENGINEER, Draft("x", "", "select 2"), NOW, shared),
            lambda: reports.remove(connection, ENGINEER, shared, NOW),
            lambda: reports.schedule(connection, ENGINEER, shared, Plan(DAILY, NOW), NOW),
        ):
            with pytest.raises(OutcomeError) as caught:
                deed()
            assert caught.value.issues[0].code == "forbidden"


def test_every_change_leaves_a_line_without_the_statement(module_database: Database) -> None:
    id_ = saved(module_database)
    with module_database.connection() as connection:
        reports.save(connection, OWNER, Draft("Beds", "", "select 'Zebedee'"), NOW, id_)
        reports.remove(connection, OWNER, id_, NOW)
        lines = connection.execute(
            "select interaction, actor, what, parameters from audit where what = %s order by id",
            [f"report/{id_}"],
        ).fetchall()
    assert [line[0] for line in lines] == ["create", "update", "delete"]
    assert "Zebedee" not in repr(lines)


def test_what_cannot_be_kept_is_refused_with_its_reason(module_database: Database) -> None:
    for draft, told in (
        (Draft("", "", "select 1"), "name"),
        (Draft("x", "", " "), "statement"),
        (Draft("x", "", "select 1", shared=("nurse",)), "nurse"),
        (Draft("x", "", "select $a", (Parameter("a", "choice"),)), "choice"),
        (Draft("x", "", "select $a", (Parameter("a", "number", default="ten"),)), "number"),
    ):
        with pytest.raises(OutcomeError, match=told), module_database.connection() as connection:
            reports.save(connection, OWNER, draft, NOW)


def test_values_are_typed_and_no_error_tells_one() -> None:
    told = (
        Parameter("n", "number"), Parameter("day", "date"), Parameter("code", "code"), Parameter("pick", "choice", choices=("a", "b")),
        Parameter("text"),
    )  # fmt: skip
    right = {"n": "-1.5", "day": "2026-02-28", "code": "8867-4", "pick": "b", "text": "' or 1=1 --"}
    assert bound(told, right).values == {
        "n": -1.5,
        "day": "2026-02-28",
        "code": "8867-4",
        "pick": "b",
        "text": "' or 1=1 --",
    }
    wrong = {"n": "Zebedee", "day": "2026-02-30", "code": "Zebedee  x", "pick": "Zebedee", "text": "Z" * 5000}
    for name, value in wrong.items():
        with pytest.raises(OutcomeError) as caught:
            bound(told, right | {name: value})
        assert "Zebedee" not in str(caught.value)
        assert f"${name}" in str(caught.value)
    for value in ("nan", "inf", "1e999"):
        with pytest.raises(OutcomeError):
            bound(told, right | {"n": value})


def test_a_due_time_is_of_the_clock_on_the_wall() -> None:
    def due(schedule: Schedule, after: str) -> str:
        return next_due(schedule, datetime.fromisoformat(after), BERLIN).astimezone(BERLIN).isoformat()

    assert due(DAILY, "2026-03-28T12:00+01:00") == "2026-03-29T06:30:00+02:00"
    assert due(Schedule("daily", at="02:30"), "2026-03-28T12:00+01:00") == "2026-03-29T03:30:00+02:00"
    # The hour that comes twice counts once.
    assert due(Schedule("daily", at="02:30"), "2026-10-24T12:00+02:00") == "2026-10-25T02:30:00+02:00"
    assert due(Schedule("daily", at="02:30"), "2026-10-25T02:30+02:00") == "2026-10-26T02:30:00+01:00"
    assert (
        due(Schedule("weekly", at="07:00", weekday=0), "2026-03-02T07:00+01:00")
        == "2026-03-09T07:00:00+01:00"
    )
    assert (
        due(Schedule("monthly", at="07:00", day=31), "2026-02-01T00:00+01:00") == "2026-02-28T07:00:00+01:00"
    )
    assert due(Schedule("minutes", minutes=15), "2026-03-02T07:14:59+01:00") == "2026-03-02T07:15:00+01:00"


@given(
    some.sampled_from(["minutes", "daily", "weekly", "monthly"]), some.integers(1, 10080), some.integers(0, 1439),
    some.integers(0, 6), some.integers(1, 31), some.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001
)  # fmt: skip
def test_the_next_due_time_is_later_and_there_is_none_between(
    period: Period, minutes: int, at: int, weekday: int, day: int, after: datetime
) -> None:
    schedule = Schedule(period, minutes, f"{at // 60:02}:{at % 60:02}", weekday, day)
    moment = after.replace(tzinfo=UTC)
    found = next_due(schedule, moment, BERLIN)
    assert found > moment
    assert next_due(schedule, found - timedelta(seconds=1), BERLIN) == found


def test_what_runs_alone_needs_defaults() -> None:
    with pytest.raises(OutcomeError, match=r"\$n"):
        refuse_schedule(DAILY, (Parameter("n", "number"),))
    refuse_schedule(DAILY, (Parameter("n", "number", default="1"), Parameter("t")))
    for wrong in (
        Schedule("daily", at="6:30"),
        Schedule("minutes", minutes=0),
        Schedule("weekly", weekday=7),
    ):
        with pytest.raises(OutcomeError):
            refuse_schedule(wrong, ())


def test_each_due_time_is_posted_once_and_those_that_were_missed_are_one(database: Database) -> None:
    id_ = scheduled(database)
    assert posted(database, NOW) == 0
    # Nobody was up for ten days.
    late = NOW + timedelta(days=10)
    assert [posted(database, late), posted(database, late)] == [1, 0]
    with database.connection() as connection:
        (run,) = report_runs.runs(connection, id_)
        assert run.due == datetime(2026, 3, 2, 5, 30, tzinfo=UTC)
        assert reports.report(connection, id_, OWNER).next_due == datetime(2026, 3, 12, 5, 30, tzinfo=UTC)


def test_a_run_is_worked_at_once_at_a_time_and_free_again_when_its_worker_is_gone(database: Database) -> None:
    id_ = scheduled(database)
    day = NOW + timedelta(days=1)
    posted(database, day)
    with report_runs.claimed(database, day) as mine:
        assert mine is not None
        with report_runs.claimed(database, day) as other:
            assert other is None
    # Killed half way: neither done nor failed was said.
    with report_runs.claimed(database, day) as again:
        assert again is not None
        assert (again.id, again.attempts) == (mine.id, 2)
        result = Result([("n", "INTEGER")], 1, False, b"PAR1")
        with database.connection() as connection:
            assert report_runs.done(connection, again.id, OWNER, result, day)
            assert not report_runs.done(connection, again.id, OWNER, result, day)
    with report_runs.claimed(database, day + timedelta(hours=1)) as none:
        assert none is None
    with database.connection() as connection:
        assert report_runs.kept(connection, id_, mine.id, OWNER) is not None
        # Neither another, nor the owner with other rights than the result was made with.
        narrowed = Actor("berg", frozenset({"physician"}), frozenset({"Patient/1"}))
        for actor in (PEER, narrowed, Actor("berg", frozenset({"integration"}))):
            assert report_runs.kept(connection, id_, mine.id, actor) is None
        assert report_runs.forget(connection, day + timedelta(days=29)) == 0
        assert report_runs.forget(connection, day + timedelta(days=31)) == 1


def test_what_fails_is_tried_again_some_times_and_says_why(database: Database) -> None:
    id_ = scheduled(database)
    now = NOW + timedelta(days=1)
    posted(database, now)
    for status in ("queued", "queued", "failed"):
        with report_runs.claimed(database, now) as run:
            assert run is not None
            with database.connection() as connection:
                report_runs.failed(connection, run, [Issue("too-costly", "too long")], now)
        with database.connection() as connection:
            (told,) = report_runs.runs(connection, id_)
        assert (told.status, told.issues[0].text) == (status, "too long")
        with report_runs.claimed(database, now) as none:
            assert none is None
        now += timedelta(minutes=10)
    with report_runs.claimed(database, now + timedelta(days=1)) as none:
        assert none is None
