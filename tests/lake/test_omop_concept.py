"""The concepts that careloom gives by itself, beside a vocabulary that is loaded."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from careloom.lake.omop.concept import builtins, relations, settle, unknown
from careloom.lake.omop.ddl import create
from careloom.lake.omop.facts import HERE, tables
from careloom.lake.omop.kind import FEMALE, MALE
from careloom.settings import settings_from

IDS = {each.concept_id for each in builtins()}


@pytest.fixture
def duck() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as duck:
        duck.execute("attach ':memory:' as cdm")
        for name in ("concept", "concept_relationship"):
            duck.execute(create(tables()[name], "careloom", "cdm"))
        yield duck


def know(duck: duckdb.DuckDBPyConnection, number: int, domain: str, standard: str = "S", **more: str) -> None:
    row = {"vocabulary": "Made", "code": str(number), **more}
    duck.execute(
        "insert into cdm.concept values (?, 'a name', ?, ?, 'a class', nullif(?, ''), ?, '1970-01-01', '2099-12-31', null)",
        [number, domain, row["vocabulary"], standard, row["code"]],
    )


def whole(duck: duckdb.DuckDBPyConnection) -> None:
    for number, domain in {each.concept_id: each.domain for each in builtins()}.items():
        know(duck, number, domain)


def lead(duck: duckdb.DuckDBPyConnection, source: int, target: int) -> None:
    duck.execute(
        "insert into cdm.concept_relationship values (?, ?, 'Maps to', '1970-01-01', '2099-12-31', null)",
        [source, target],
    )


def test_without_a_vocabulary_nothing_is_said_to_be_unknown(duck: duckdb.DuckDBPyConnection) -> None:
    assert unknown(duck) == []


def test_a_vocabulary_that_has_all_of_ours_leaves_nothing_to_say(duck: duckdb.DuckDBPyConnection) -> None:
    whole(duck)
    assert unknown(duck) == []


@pytest.mark.parametrize("number", sorted(IDS))
def test_each_concept_that_the_vocabulary_lacks_is_named(
    duck: duckdb.DuckDBPyConnection, number: int
) -> None:
    whole(duck)
    duck.execute("delete from cdm.concept where concept_id = ?", [number])
    assert [(each.concept_id, what) for each, what in unknown(duck)] == [(number, "is not in it")]


def test_a_concept_of_another_domain_or_that_is_no_longer_standard_is_named(
    duck: duckdb.DuckDBPyConnection,
) -> None:
    whole(duck)
    duck.execute("update cdm.concept set domain_id = 'Drug' where concept_id = 8507")
    duck.execute("update cdm.concept set standard_concept = null where concept_id in (5083, 9202)")
    know(duck, 722455, "Visit")
    lead(duck, 5083, 722455)
    assert {each.concept_id: what for each, what in unknown(duck)} == {
        8507: "is of the domain Drug, not Gender",
        9202: "is no longer standard, and leads nowhere",
    }


def test_what_the_vocabulary_maps_elsewhere_goes_there_and_its_currencies_are_known(
    duck: duckdb.DuckDBPyConnection,
) -> None:
    for statement in relations():
        duck.execute(statement)
    whole(duck)
    know(duck, 722455, "Visit")
    lead(duck, 5083, 722455)
    know(duck, 4711, "Currency", vocabulary="Currency", code="EUR")
    settle(duck)
    assert duck.execute("select concept_id from visit_class where code = 'VR'").fetchall() == [(722455,)]
    assert duck.execute("select concept_id from visit_class where code = 'IMP'").fetchall() == [(9201,)]
    assert duck.execute("select code, concept_id from currency order by 1").fetchall() == [
        ("EUR", 4711),
        ("USD", 44818668),
    ]


def test_each_number_of_a_concept_in_sql_stands_in_the_list() -> None:
    found: dict[str, set[int]] = {}
    for path in [*HERE.rglob("*.sql"), *(HERE.parent / "marts").glob("*.sql")]:
        text = re.sub(r"--.*", "", path.read_text())
        # A number that is named a concept, or that one is compared with.
        numbers = re.findall(r"\b(\d{4,}) as \w*concept_id|concept_id (?:=|<>) (\d{4,})", text)
        lists = re.findall(r"concept_id (?:not )?in \(([\d, ]+)\)", text)
        found[path.name] = {int(a or b) for a, b in numbers} | {
            int(each) for some in lists for each in some.split(",")
        }
    assert set().union(*found.values(), {MALE, FEMALE}) <= IDS
    assert sum(map(bool, found.values())) > 10


def test_each_concept_says_by_what_it_is_proven() -> None:
    doc = (Path(__file__).parents[2] / "docs/reference/omop.md").read_text()
    for each in builtins():
        kind, _, rest = each.source.partition(" ")
        assert kind in {"vocabulary", "specification", "model", "data", "other"}, each
        assert rest, each
    assert all(f"| {kind} |" in doc for kind in ("vocabulary", "specification", "model", "data", "other"))


def test_what_the_public_vocabulary_has_of_ours_it_has_alike() -> None:
    archive = settings_from().conformance / "omop/eunomia/Synthea27Nj/Synthea27Nj_5.4.zip"
    if not archive.exists():
        pytest.skip("omop is absent")
    with zipfile.ZipFile(archive) as files, files.open("CONCEPT.csv") as raw:
        rows = {int(row["concept_id"]): row for row in csv.DictReader(io.TextIOWrapper(raw, "utf-8"))}
    shared = [each for each in builtins() if each.concept_id in rows]
    assert {each.concept_id for each in shared} == {9201, 9202, 9203, 38003563, 38003564}
    for each in shared:
        row = rows[each.concept_id]
        assert (row["concept_name"], row["domain_id"], row["standard_concept"]) == (
            each.name,
            each.domain,
            "S",
        )
