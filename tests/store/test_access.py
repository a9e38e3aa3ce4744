"""What an actor may not see is not there, on any way to it: search, chain, _has, includes, lists, compartments, history."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from careloom.fhir.outcome import OutcomeError
from careloom.fhir.query import parse
from careloom.store.actor import STATION, Actor
from careloom.store.commit import Origin, Write, commit
from careloom.store.database import Connection, Database
from careloom.store.read import Reader

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
NURSE = Actor("nurse", frozenset({"nurse"}))
ADMIN = Actor("admin", frozenset({"admin"}))
NOBODY = Actor("nobody")
OF_ADA = Actor("ada", frozenset({"nurse"}), frozenset({"Patient/ada"}))
RESTRICTED = {
    "security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]
}


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.connection() as connection:
        commit(connection, [Write(one) for one in resources()], Origin(NOW, "ehr"))
        yield connection


def resources() -> Iterator[dict[str, Any]]:
    """Ada and Bo each have a practitioner's name in common, an encounter and observations; one of Ada's is restricted."""
    yield {"resourceType": "Practitioner", "id": "dr", "name": [{"family": "Who"}]}
    for name in ("ada", "bo"):
        patient = {"reference": f"Patient/{name}"}
        yield {
            "resourceType": "Patient",
            "id": name,
            "name": [{"family": name.title()}],
            "generalPractitioner": [{"reference": "Practitioner/dr"}],
        }
        yield {
            "resourceType": "Encounter",
            "id": f"visit-{name}",
            "status": "finished",
            "class": {"code": "IMP"},
            "subject": patient,
        }
        for kind, meta in (("open", {}), ("secret", RESTRICTED)):
            yield {
                "resourceType": "Observation",
                "id": f"{kind}-{name}",
                "meta": meta,
                "status": "final",
                "code": {"coding": [{"system": "http://x", "code": kind, "display": f"A {kind} value"}]},
                "subject": patient,
                "encounter": {"reference": f"Encounter/visit-{name}"},
                "component": [{"code": {"coding": [{"code": kind}]}, "valueQuantity": {"value": 1}}],
            }
    items = [f"Observation/{kind}-{name}" for kind in ("open", "secret") for name in ("ada", "bo")]
    yield {
        "resourceType": "List",
        "id": "of-ada",
        "status": "current",
        "mode": "working",
        "subject": {"reference": "Patient/ada"},
        "entry": [{"item": {"reference": item}} for item in items],
    }
    yield {
        "resourceType": "List",
        "id": "of-bo",
        "status": "current",
        "mode": "working",
        "subject": {"reference": "Patient/bo"},
        "entry": [{"item": {"reference": "Observation/open-ada"}}],
    }


def seen(
    connection: Connection,
    actor: Actor,
    rtype: str,
    *pairs: tuple[str, str],
    within: tuple[str, str] | None = None,
) -> set[str]:
    page = Reader(connection, actor).search(parse(rtype, pairs, strict=True, within=within))
    assert page.total in {None, len(page.matches)}
    return {f"{one.rtype}/{one.id}" for one in (*page.matches, *page.included)}


# Each way to a row, with what it tells of Ada's and Bo's open and secret observations.
WAYS: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "search": ("Observation", []),
    "code": ("Observation", [("code", "secret,open")]),
    "display": ("Observation", [("code:text", "a ")]),
    "not": ("Observation", [("code:not", "other")]),
    "composite": ("Observation", [("component-code-value-quantity", "secret$1,open$1")]),
    "filter": ("Observation", [("_filter", "not (code eq other)")]),
    "words": ("Observation", [("_content", "value")]),
    "list": ("Observation", [("_list", "of-ada")]),
    "system": ("Resource", [("_type", "Observation")]),
    "sorted": ("Observation", [("_sort", "code")]),
    "include": ("Observation", [("_include", "Observation:encounter")]),
}


@pytest.mark.parametrize("way", WAYS)
def test_no_way_leads_to_what_is_hidden(connection: Connection, way: str) -> None:
    rtype, pairs = WAYS[way]

    def observations(actor: Actor) -> set[str]:
        return {one for one in seen(connection, actor, rtype, *pairs) if one.startswith("Observation/")}

    all_four = {f"Observation/{kind}-{name}" for kind in ("open", "secret") for name in ("ada", "bo")}
    assert observations(STATION) == all_four
    assert observations(NURSE) == {"Observation/open-ada", "Observation/open-bo"}
    assert observations(OF_ADA) == {"Observation/open-ada"}
    for actor in (ADMIN, NOBODY):
        with pytest.raises(OutcomeError, match="may not read"):
            observations(actor)


def test_what_is_hidden_does_not_show_through_a_chain_or_has(connection: Connection) -> None:
    secret_of_ada = ("_has:Observation:subject:code", "secret")
    assert seen(connection, STATION, "Patient", secret_of_ada) == {"Patient/ada", "Patient/bo"}
    assert seen(connection, NURSE, "Patient", secret_of_ada) == set()
    assert seen(connection, NURSE, "Patient", ("_has:Observation:subject:code:text", "a secret")) == set()
    assert seen(connection, NURSE, "Patient", ("_filter", "not (_id eq ada)")) == {"Patient/bo"}
    nested = ("_has:Encounter:subject:_has:Observation:encounter:code", "secret")
    assert seen(connection, STATION, "Patient", nested) == {"Patient/ada", "Patient/bo"}
    assert seen(connection, NURSE, "Patient", nested) == set()
    # Ada's own actor sees no practitioner, and so finds nobody by a practitioner's name.
    chain = ("general-practitioner:Practitioner.name", "who")
    assert seen(connection, NURSE, "Patient", chain) == {"Patient/ada", "Patient/bo"}
    assert seen(connection, OF_ADA, "Patient", chain) == set()
    assert seen(connection, OF_ADA, "Observation", ("subject:Patient.name", "bo")) == set()
    assert seen(connection, OF_ADA, "Observation", ("subject:Patient.name:exact", "Ada")) == {
        "Observation/open-ada"
    }


def test_what_is_hidden_is_included_from_neither_side(connection: Connection) -> None:
    gp = [("_id", "ada"), ("_include", "Patient:general-practitioner")]
    assert seen(connection, NURSE, "Patient", *gp) == {"Patient/ada", "Practitioner/dr"}
    assert seen(connection, OF_ADA, "Patient", *gp) == {"Patient/ada"}
    back = [("_id", "ada"), ("_revinclude", "Observation:subject"), ("_revinclude:iterate", "List:item")]
    assert seen(connection, NURSE, "Patient", *back) == {
        "Patient/ada",
        "Observation/open-ada",
        "List/of-ada",
        "List/of-bo",
    }
    assert seen(connection, OF_ADA, "Patient", *back) == {
        "Patient/ada",
        "Observation/open-ada",
        "List/of-ada",
    }


def test_a_list_that_is_hidden_holds_nothing(connection: Connection) -> None:
    assert seen(connection, NURSE, "Observation", ("_list", "of-bo")) == {"Observation/open-ada"}
    assert seen(connection, OF_ADA, "Observation", ("_list", "of-bo")) == set()


def test_a_compartment_shows_what_the_actor_may_see_of_it(connection: Connection) -> None:
    def held(actor: Actor, name: str) -> set[str]:
        return seen(connection, actor, "Resource", within=("Patient", name))

    assert held(NURSE, "bo") == {"Patient/bo", "Encounter/visit-bo", "Observation/open-bo", "List/of-bo"}
    assert held(OF_ADA, "bo") == set()
    assert "Observation/secret-bo" in held(STATION, "bo")


def test_a_total_counts_what_may_be_seen(connection: Connection) -> None:
    def total(actor: Actor, *pairs: tuple[str, str]) -> int | None:
        query = parse("Observation", [("_summary", "count"), *pairs], strict=True)
        return Reader(connection, actor).search(query).total

    for pairs in ((), (("code:text", "a "),)):
        assert (total(STATION, *pairs), total(NURSE, *pairs), total(OF_ADA, *pairs)) == (4, 2, 1)


def test_the_history_of_what_is_hidden_is_hidden(connection: Connection) -> None:
    assert Reader(connection, STATION).history("Observation", "secret-ada").versions
    for actor, id_ in ((NURSE, "secret-ada"), (OF_ADA, "open-bo")):
        assert Reader(connection, actor).history("Observation", id_).versions == []
        assert Reader(connection, actor).version("Observation", id_, 1) is None
        assert Reader(connection, actor).stored("Observation", id_) is None


def test_a_label_hides_the_resource_that_bears_it_and_no_other(connection: Connection) -> None:
    labelled = {"resourceType": "Patient", "id": "ada", "meta": RESTRICTED, "name": [{"family": "Ada"}]}
    commit(connection, [Write(labelled)], Origin(NOW, "ehr"))
    assert seen(connection, NURSE, "Patient") == {"Patient/bo"}
    assert Reader(connection, NURSE).version("Patient", "ada", 1) is None
    whose = ("subject", "Patient/ada")
    assert seen(connection, NURSE, "Observation", whose) == {"Observation/open-ada"}
    assert seen(connection, NURSE, "Observation", whose, ("_include", "*")) == {
        "Observation/open-ada",
        "Encounter/visit-ada",
    }
    assert seen(connection, NURSE, "Observation", ("subject.family", "ada")) == set()
