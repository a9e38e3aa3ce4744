"""Kept rows in the place of a run: the same rows for everybody, however the store moves on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.lake.conftest import Shore, observation, patient

from careloom.fhir.resource import Resource
from careloom.lake import prepared as preparing
from careloom.lake import run as running
from careloom.lake.build import writing
from careloom.lake.kept.keeper import names, wish
from careloom.lake.kept.ready import ready_rows
from careloom.lake.lake import Lake
from careloom.lake.order import Order, Wanted
from careloom.lake.ready import ready_view, ready_views
from careloom.lake.run import delivered
from careloom.lake.sandbox import asked
from careloom.lake.session import opened
from careloom.store.actor import Actor
from careloom.store.database import Database

ALL = Actor("dr", frozenset({"physician"}))
WARD = Actor("ward", frozenset({"physician"}), frozenset({"Patient/p1", "Patient/p2"}))
ETL = Actor("etl", frozenset({"integration"}))
RESTRICTED = {
    "security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]
}


def feed(shore: Shore, *keep: str) -> None:
    wish(shore.root, [*names(shore.root), *keep])
    with writing(shore.database, shore.root) as writer:
        while writer.step():
            pass


def of_sql(shore: Shore, who: Actor, name: str) -> list[str]:
    with asked(shore.database, shore.root, who, f"from views.{name}") as rows:
        return sorted([str(rows.columns), *map(repr, rows.rows())])


def of_run(shore: Shore, who: Actor, name: str, patients: Sequence[str] | None = None) -> list[Any]:
    chosen = None if patients is None else frozenset(patients)
    order = Order(definition=ready_view(name), wanted=Wanted("ndjson"), patients=chosen)
    raw = b"".join(delivered(shore.database, shore.root, who, order))
    return sorted(map(repr, map(json.loads, raw.splitlines())))


def both(shore: Shore, monkeypatch: pytest.MonkeyPatch, name: str, wanted: int = 0) -> None:
    """That kept rows are taken, and are those of a run."""
    for who, patients in ((ALL, None), (WARD, None), (ETL, None), (ALL, ["Patient/p2", "Patient/p9"])):
        is_taken = taken(shore, who, ready_view(name))
        assert is_taken
        kept = (of_run(shore, who, name, patients), of_sql(shore, who, name))
        with monkeypatch.context() as patch:
            for module in (running, preparing):
                patch.setattr(module, "ready_rows", lambda *_: None)
            fresh = (of_run(shore, who, name, patients), of_sql(shore, who, name))
        assert kept == fresh
        if who is ALL and patients is None and wanted:
            assert len(kept[0]) == wanted


def taken(shore: Shore, who: Actor, definition: Resource) -> bool:
    with shore.database.autocommit() as connection:
        return (
            ready_rows(Lake(shore.root), connection, who, definition, lambda: opened(shore.root)) is not None
        )


def test_kept_rows_are_those_of_a_run_for_everybody_while_the_store_moves_on(
    shore: Shore, monkeypatch: pytest.MonkeyPatch
) -> None:
    shore.say(*(patient(f"p{n}", f"F{n}") for n in range(5)))
    shore.say(*(observation(f"o{n}", n, f"p{n % 5}") for n in range(9)))
    shore.say(observation("o9", 9, "p1") | {"meta": RESTRICTED})
    feed(shore, "observation", "patient")
    both(shore, monkeypatch, "observation", 10)
    both(shore, monkeypatch, "patient", 5)
    # Labelled, moved to another patient, deleted: the lake does not know it yet, and who may see it is decided by the store.
    shore.say(observation("o1", 1, "p1") | {"meta": RESTRICTED}, observation("o2", 2, "p3"))
    shore.delete("Observation", "o3")
    both(shore, monkeypatch, "observation", 10)
    feed(shore)
    both(shore, monkeypatch, "observation", 9)


@pytest.mark.conformance
def test_every_ready_view_has_the_same_columns_kept_and_run(
    shore: Shore, monkeypatch: pytest.MonkeyPatch
) -> None:
    shore.say(patient("p1"), observation("o1", 1, "p1"))
    feed(shore, *ready_views())
    for name in ready_views():
        kept = of_sql(shore, ALL, name)
        with monkeypatch.context() as patch:
            patch.setattr(preparing, "ready_rows", lambda *_: None)
            assert of_sql(shore, ALL, name) == kept


def test_a_view_is_run_where_its_definition_is_another_or_a_resource_is_aside(
    module_database: Database, tmp_path: Path
) -> None:
    shore, views = Shore(module_database, tmp_path / "lake"), tmp_path / "views"
    views.mkdir()
    column = [{"name": "family", "path": "name.family"}]
    told: Resource = {"resource": "Patient", "select": [{"column": column}]}
    (views / "mine.json").write_text(json.dumps(told))
    shore.say(patient("p1"))
    wish(shore.root, ["mine"])

    def step() -> None:
        with writing(shore.database, shore.root, views=views) as writer:
            writer.kept.is_stale = True
            while writer.step():
                pass

    step()
    assert taken(shore, ALL, told | {"title": "the same under another title"})
    assert not taken(shore, ALL, told | {"where": [{"path": "active"}]})
    shore.say(patient("p2") | {"name": [{"family": "A"}, {"family": "B"}]})
    step()
    assert not taken(shore, ALL, told)
