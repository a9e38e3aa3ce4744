"""Views whose rows are kept: they follow resource by resource, and are what a fresh run gives."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from careloom.fhir.outcome import OutcomeError
from careloom.fhir.resource import Resource, dumps
from careloom.flow import Flow
from careloom.lake import compaction
from careloom.lake.build import Told, quiet, writing
from careloom.lake.engine import outcomes
from careloom.lake.kept import keeper
from careloom.lake.kept.keeper import names, wish
from careloom.lake.known import view_of
from careloom.lake.lake import Lake
from careloom.lake.ready import ready_views
from careloom.settings import Settings
from careloom.store.actor import STATION, Actor
from careloom.store.database import Database

CLINIC = Actor("clinic", frozenset({"source"}))


class Killed(BaseException):
    """What ends a writer between two of its phases."""


@dataclass
class Site:
    """A store, and a lake that keeps views."""

    database: Database
    flow: Flow
    root: Path

    @property
    def views(self) -> Path:
        return self.root.parent / "views"

    def put(self, *resources: Resource) -> None:
        for one in resources:
            self.flow.update(one["resourceType"], one["id"], dumps(one), CLINIC)

    def build(self, rows: int = 50_000, told: Told = quiet) -> int:
        """How many resources went through views."""
        with writing(self.database, self.root, told, views=self.views) as writer:
            while writer.step(rows):
                pass
            return writer.kept.ran

    def keep(self, *views: str) -> None:
        wish(self.root, [*names(self.root), *views])
        self.build()

    def kept(self, name: str) -> list[tuple[Any, ...]]:
        lake = Lake(self.root)
        with lake.connection() as duck:
            return sorted(duck.execute(lake.kept_rows(name).current()).fetchall(), key=str)

    def fresh(self, name: str) -> list[tuple[Any, ...]]:
        with self.database.connection() as connection:
            statement = view_of(connection, STATION, name, self.views).statement
        with Lake(self.root).connection(types=[statement.resource], may_lack=True) as duck, outcomes():
            return sorted(duck.execute(statement.sql()).fetchall(), key=str)


@pytest.fixture
def site(database: Database, tmp_path: Path) -> Site:
    return Site(database, Flow(database, Settings(home=tmp_path / "home")), tmp_path / "lake")


def given(number: int, *names_: str, **more: Any) -> Resource:
    """A patient with some given names: each is a row of the view `names`."""
    return {
        "resourceType": "Patient",
        "id": f"k{number}",
        "active": True,
        "name": [{"given": [*names_]}],
        **more,
    }


def view(name: str, path: str = "$this", **more: Any) -> Resource:
    column = [{"name": "given", "path": path, **more}]
    return {
        "resourceType": "ViewDefinition",
        "id": name,
        "name": name,
        "status": "active",
        "resource": "Patient",
        "where": [{"path": "active"}],
        "select": [{"column": [{"name": "id", "path": "id"}]}, {"forEach": "name.given", "column": column}],
    }


def changed(site: Site, chance: random.Random) -> None:
    """Patients come, change, are no longer asked for by the view, go and come again."""
    for _ in range(chance.randint(1, 6)):
        number = chance.randrange(12)
        if chance.random() < 0.25:
            with suppress(OutcomeError):  # there is none of this number
                site.flow.delete("Patient", f"k{number}", CLINIC)
        else:
            words = chance.choices(("Ada", "Bo", "Cy"), k=chance.randint(1, 3))
            site.put(given(number, *words, active=chance.random() < 0.7))


def test_a_kept_view_is_what_a_fresh_run_gives_whatever_happens(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(5)
    monkeypatch.setattr(keeper, "MANY", 5)
    monkeypatch.setattr(keeper, "FEW", 3)
    site.put(view("given"), given(1, "Ada", "Bo"))
    site.keep("given", "patient")
    for number in range(9):
        changed(site, chance)
        site.build(rows=chance.choice((1, 2, 50_000)))
        if number % 3 == 2:
            with writing(site.database, site.root) as writer:
                compaction.tidy(writer)
                compaction.vacuum(writer, 0)
        for name in ("given", "patient"):
            assert site.kept(name) == site.fresh(name), (number, name)


def test_one_changed_resource_is_run_alone_and_costs_the_same_in_a_large_table(site: Site) -> None:
    site.put(view("given"), given(1, "Ada"))
    site.keep("given")

    def cost(word: str) -> tuple[int, int, int]:
        before = {file.name for file in Lake(site.root).kept_rows("given").files()}
        site.put(given(1, word, "Bo"))
        with writing(site.database, site.root) as writer:
            read = psutil.Process().io_counters().read_chars
            while writer.step():
                pass
            read = psutil.Process().io_counters().read_chars - read
            ran = writer.kept.ran
        files = Lake(site.root).kept_rows("given").files()
        return ran, sum(file.rows for file in files if file.name not in before), read

    cost("first")
    small = cost("small")
    site.put(*(given(number, *["Zebedee"] * 40) for number in range(100, 250)))
    site.build()
    assert len(site.kept("given")) > 6_000
    large = cost("large")
    assert small[:2] == large[:2] == (1, 2)
    assert large[2] < small[2] * 1.5 + 20_000


def test_deletions_and_changed_definitions_are_followed(site: Site) -> None:
    site.put(view("given"), given(1, "Ada", "Bo"), given(2, "Cy"))
    site.keep("given")
    assert site.kept("given") == site.fresh("given")
    site.flow.delete("Patient", "k2", CLINIC)
    site.build()
    assert all(row[0] != "k2" for row in site.kept("given"))
    for path in ("$this", "upper()", "$this"):
        # Back again: what was made of the first definition lacks what came meanwhile.
        site.put(view("given", path), given(1, f"Ada{len(path)}"))
        site.build()
        assert site.kept("given") == site.fresh("given"), path
    site.flow.delete("ViewDefinition", "given", CLINIC)
    site.build()
    assert Lake(site.root).kept == []
    site.put(view("given"))
    site.build()
    assert site.kept("given") == site.fresh("given")
    wish(site.root, [])
    site.build()


def test_a_writer_that_is_killed_in_any_phase_costs_nothing(site: Site) -> None:
    site.put(view("given"), given(1, "Ada"), given(2, "Bo"))
    site.keep("given")
    site.put(view("given", "upper()"), given(1, "Cy", "Di"), given(3, "Ed"))
    phases = ["reading", "laying Patient", "committed Patient", "keeping given", "kept given", "publishing"]
    for number, phase in enumerate([*phases, "making given", "made given", "published"]):
        if phase in {"making given", "made given"}:
            site.put(view("given", "lower()" if phase == "making given" else "length().toString()"))
        site.put(given(1, *["Fay"] * (number % 3 + 1)), given(4 + number, "Gus"))
        with pytest.raises(Killed):
            site.build(rows=2, told=_killer(phase))
        site.build(rows=3)
        assert site.kept("given") == site.fresh("given"), phase


def _killer(phase: str) -> Callable[[str, int], None]:
    def tell(said: str, _done: int) -> None:
        if said == phase:
            raise Killed

    return tell


def test_a_resource_on_which_a_view_cannot_be_run_is_set_aside_and_stops_no_other(site: Site) -> None:
    single = view("single")
    single["select"] = [{"column": [{"name": "id", "path": "id"}, {"name": "given", "path": "name.given"}]}]
    site.put(single, given(1, "Ada"), given(2, "Bo", "Cy"), given(3, "Di"))
    site.keep("single")
    mine = [row for row in site.kept("single") if row[0] in {"k1", "k2", "k3"}]
    assert mine == [("k1", "Ada"), ("k3", "Di")]
    site.put(given(1, "Ed", "Fay"), given(2, "Gus"), given(5, "Hal"))
    site.build()
    mine = [row for row in site.kept("single") if row[0] in {"k1", "k2", "k3", "k5"}]
    assert mine == [("k2", "Gus"), ("k3", "Di"), ("k5", "Hal")]
    lake = Lake(site.root)
    with lake.connection() as duck:
        told = lake.kept_rows("single").unended()
        [(id_, why)] = duck.execute(f"select _id, _aside from ({told}) where _id = 'k1'").fetchall()
    assert (id_, "several values" in why) == ("k1", True)


def test_every_view_that_comes_with_careloom_can_be_kept(site: Site) -> None:
    site.put(given(1, "Ada", birthDate="1974"))
    site.keep(*ready_views())
    assert set(Lake(site.root).kept) == set(ready_views())
    site.put(given(1, "Bo", birthDate="1975"))
    site.build()
    assert site.kept("patient") == site.fresh("patient")


def test_a_view_that_cannot_be_kept_does_not_stop_the_lake(site: Site) -> None:
    site.put(view("given"), given(1, "Ada"))
    site.keep("given", "nothing")
    assert Lake(site.root).kept == ["given"]
    with writing(site.database, site.root) as writer:
        writer.step()
        assert "nothing" in writer.kept.failed["nothing"]


def test_a_file_of_the_sites_folder_is_kept_and_made_anew_when_it_changes(site: Site) -> None:
    def lay(path: str) -> None:
        column = [{"name": "key", "path": "id"}, {"name": "cell", "path": path}]
        told = {"resourceType": "ViewDefinition", "resource": "Patient", "select": [{"column": column}]}
        site.views.mkdir(exist_ok=True)
        (site.views / "mine.json").write_bytes(dumps(told))

    lay("gender")
    site.put(given(1, "A", gender="male"))
    site.keep("mine")
    assert site.kept("mine") == [("k1", "male")]
    with writing(site.database, site.root, views=site.views) as writer:
        lay("birthDate")
        writer.step()
        assert site.kept("mine") == [("k1", None)]
        site.put(given(2, "B", birthDate="1990"))
        writer.step()
        assert site.kept("mine") == site.fresh("mine") == [("k1", None), ("k2", "1990")]
        (site.views / "mine.json").unlink()
        writer.step()
        assert "no view" in writer.kept.failed["mine"]
    assert Lake(site.root).kept == []
