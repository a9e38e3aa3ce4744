"""Which view a name, an id or a url means."""

from __future__ import annotations

from typing import Any

import pytest

from careloom.fhir.outcome import OutcomeError
from careloom.fhir.resource import Resource, dumps
from careloom.flow import Flow
from careloom.lake.known import all_views, view_of
from careloom.settings import Settings
from careloom.store.actor import STATION, Actor
from careloom.store.database import Database

CLINIC = Actor("clinic", frozenset({"source"}))


def definition(id_: str, name: str = "", **more: Any) -> Resource:
    named = {"name": name} if name else {}
    select = [{"column": [{"name": "id", "path": "getResourceKey()"}]}]
    told = {"resourceType": "ViewDefinition", "id": id_, "status": "active", "resource": "Patient"}
    return {**told, **named, "select": select, **more}


@pytest.fixture(scope="module")
def store(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Database:
    flow = Flow(module_database, Settings(home=tmp_path_factory.mktemp("home")))
    for one in (
        definition("a", "wards", url="http://example.org/wards", version="1"),
        definition("b", "Wards", url="http://example.org/wards", version="2"),
        definition("c", "wards", status="draft"),
        definition("d", "patient"),
        definition("e", "old", status="retired", url="http://example.org/old,odd"),
        definition("f"),
    ):
        flow.update("ViewDefinition", one["id"], dumps(one), CLINIC)
    return module_database


def test_a_name_means_one_view_and_those_of_careloom_keep_theirs(store: Database) -> None:
    with store.connection() as connection:
        found = all_views(connection, STATION)
    assert (found["Wards"].id, found["patient"].id) == ("b", "")
    assert not {"wards", "old", ""} & found.keys()
    assert found["Wards"].statement.columns == ("id",)


@pytest.mark.parametrize(
    ("told", "id_"),
    [
        ("ViewDefinition/a", "a"),
        ("f", "f"),
        ("wards", "b"),
        ("http://example.org/wards", "b"),
        ("http://example.org/wards|1", "a"),
        ("http://example.org/old,odd", "e"),
        ("medication-request", ""),
        ("https://careloom.org/ViewDefinition/patient", ""),
    ],
)
def test_a_view_is_found_by_id_name_and_url(store: Database, told: str, id_: str) -> None:
    with store.connection() as connection:
        assert view_of(connection, STATION, told).id == id_


@pytest.mark.parametrize("told", ["", "nothing", "ViewDefinition/z", "http://example.org/wards|3", "old"])
def test_a_view_that_nobody_knows_is_not_found(store: Database, told: str) -> None:
    with store.connection() as connection, pytest.raises(OutcomeError) as error:
        view_of(connection, STATION, told)
    assert error.value.issues[0].code == "not-found"


def test_who_may_read_nothing_knows_no_view_of_the_store(store: Database) -> None:
    with store.connection() as connection, pytest.raises(OutcomeError):
        all_views(connection, Actor("admin", frozenset({"admin"})))
