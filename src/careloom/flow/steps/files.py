"""flow.steps.files: the steps `views` and `marts`: each ready view, and each mart, as a Parquet file that stands whole.

Room: flow. May import: lake. Touches: the folders `_views` and `_marts` of the lake, or a folder that is named.

A file is replaced when its new rows stand, so that who reads it sees the old or the new ones. Nothing is done where
nothing changed: `made.json` in the folder says what its files were made of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b
from pathlib import Path

import msgspec

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import dumps
from careloom.flow.steps.work import Made, Work
from careloom.lake import engine, poison
from careloom.lake.fresh import replacing
from careloom.lake.known import KnownView, all_views, refuse_left_out, site_views
from careloom.lake.lake import Lake
from careloom.lake.marts.mart import MARTS, marts
from careloom.lake.reading import literal
from careloom.settings import lake_root, views_root
from careloom.store.actor import STATION
from careloom.store.runs import Gate

VIEWS, MARTS_FOLDER = "_views", "_marts"
MADE = "made.json"

Writing = Callable[[Path], int]
"""Write rows to this path; how many."""


class _Stood(msgspec.Struct):
    """What made.json says."""

    state: str
    rows: dict[str, int]


def views(work: Work) -> Made:
    """Each view that has a name, of careloom, of the folder, of the store. `since`: rows of resources that were written since
    then. A file of the folder that is no view keeps none from being made; a gate names it.
    """
    lake = Lake(lake_root(work.settings))
    if work.since and not work.out:
        raise OutcomeError(
            Issue("required", "The rows since a time go to a folder of their own: say --out FOLDER.")
        )
    folder = views_root(work.settings)
    with work.database.connection() as connection:
        known = all_views(connection, STATION, folder)
        for name in work.names:
            if name not in known:
                refuse_left_out(connection, folder, name)
        left_out = () if work.names else site_views(connection, folder).left_out
    wanted = {name: known[name] for name in _wanted(work, list(known), "view")}
    source = b"".join(dumps(view.definition) for _, view in sorted(wanted.items()))
    since = work.since.isoformat() if work.since else ""
    aside: dict[str, int] = {}
    writers = {name: _of_view(lake, view, since, aside) for name, view in wanted.items()}
    made = _made(work, lake, VIEWS, f"{since} {blake2b(source, digest_size=8).hexdigest()}", writers)
    if aside:
        told = ", ".join(f"{count} of {name}" for name, count in sorted(aside.items()))
        made.gates.append(Gate("few resources are left out of a view", is_held=True, told=told))
    if left_out:
        made.gates.append(
            Gate("each file is a view", is_held=False, told="; ".join(each.words for each in left_out[:3]))
        )
    return made


def made_marts(work: Work) -> Made:
    """Each mart. A mart is of all that a person has: there is none of what came since a time."""
    if work.since:
        raise OutcomeError(Issue("not-supported", "A mart is of all that a person has: it has no --since."))
    lake = Lake(lake_root(work.settings))
    names = _wanted(work, MARTS, "mart")
    with marts(lake, names) as duck:

        def writing_of(name: str) -> Writing:
            sql = f'copy "{name}" to {{}} (format parquet, compression zstd)'
            return lambda path: duck.execute(sql.format(literal(path))).fetchall()[0][0]

        made = _made(work, lake, MARTS_FOLDER, "", {name: writing_of(name) for name in names})
        if "persons" in names:
            sql = "select count(*), count(distinct person) from persons"
            [(rows, persons)] = duck.execute(sql).fetchall()
            made.gates.append(
                Gate("a person is one row", rows == persons, f"{rows:,} rows, {persons:,} persons")
            )
    return made


def _wanted(work: Work, known: list[str] | tuple[str, ...], what: str) -> list[str]:
    if unknown := [name for name in work.names if name not in known]:
        text = f"There is no {what} '{unknown[0][:64]}'; there are: {', '.join(known)}."
        raise OutcomeError(Issue("not-found", text))
    return list(work.names or known)


def _of_view(lake: Lake, view: KnownView, since: str, aside: dict[str, int]) -> Writing:
    """Writes the rows; resources on which the view cannot be run are left out, and counted in `aside`."""

    def write(path: Path) -> int:
        statement = view.statement
        with lake.connection(STATION, types=[statement.resource], may_lack=True) as duck, engine.outcomes():
            source = f'"{statement.resource}"'
            if since:
                duck.execute(
                    f'create view "_since" as select * from "{statement.resource}"'
                    f" where last_updated >= timestamptz {literal(since)}"
                )
                source = '"_since"'
            try:
                return engine.write(duck, statement, path, "parquet", source)
            except OutcomeError as error:
                if not poison.is_of_a_resource(error) or not poison.may_stop(statement):
                    raise
            found = poison.left_out(duck, statement, source)
            aside[view.name] = len(found)
            return engine.write(duck, statement, path, "parquet", poison.without(source, found))

    return write


def _made(work: Work, lake: Lake, place: str, of: str, writers: Mapping[str, Writing]) -> Made:
    folder = work.out or lake.root / place
    state = f"{lake.published.cursor} {of}"
    before = _before(folder / MADE)
    if not work.is_backfill and before.state == state and _stand(folder, before, writers):
        rows: dict[str, int] = {name: before.rows[name] for name in writers}
        return Made(
            sum(rows.values()), lake.published.cursor, is_new=False, gates=[_ran(rows, {})], parts=rows
        )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    rows, failed = {}, {}
    for number, (name, writing) in enumerate(writers.items()):
        work.told(number, len(writers))
        try:
            rows[name] = _whole(folder / f"{name}.parquet", writing)
        except OutcomeError as error:
            # One that cannot be made does not keep the others from being fresh; the gate names it.
            failed[name] = str(error)
    work.told(len(writers), len(writers))
    if not failed:
        kept = before.rows | rows if before.state == state else rows
        (folder / MADE).write_bytes(msgspec.json.encode(_Stood(state, kept)))
    return Made(sum(rows.values()), lake.published.cursor, gates=[_ran(rows, failed)], parts=rows)


def _whole(path: Path, writing: Writing) -> int:
    with replacing(path) as fresh:
        return writing(fresh)


def _before(path: Path) -> _Stood:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Stood)
    except (FileNotFoundError, msgspec.MsgspecError):
        return _Stood("", {})


def _stand(folder: Path, before: _Stood, writers: Mapping[str, Writing]) -> bool:
    return all(name in before.rows and (folder / f"{name}.parquet").exists() for name in writers)


def _ran(rows: Mapping[str, int], failed: Mapping[str, str]) -> Gate:
    told = "; ".join(f"{name}: {reason}" for name, reason in list(failed.items())[:3])
    return Gate("each was made", not failed, told or f"{len(rows)} files")
