from __future__ import annotations

import importlib
import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

from careloom.fhir.facts import children, facts, resource_types, search_ids
from careloom.fhir.profile.terms import Terms
from careloom.fhir.validate import validate

ROOT = Path(__file__).parents[2]
R4 = ROOT / "src" / "careloom" / "fhir" / "r4"


def r4_facts() -> ModuleType:
    spec = importlib.util.spec_from_file_location("r4_facts", ROOT / "scripts" / "r4_facts.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_facts_are_what_the_published_definitions_say(r4_archive: Path) -> None:
    script = r4_facts()
    texts = script.condensed(script.definitions(r4_archive), search_ids())
    assert texts == ((R4 / "facts.json").read_text("utf-8"), (R4 / "search-ids.json").read_text("utf-8"))


def test_the_terms_are_what_the_published_definitions_say(
    r4_archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    script = importlib.import_module("r4_terms")
    text = script.condensed(script.definitions(r4_archive))
    assert text == (R4 / "terms.json").read_text("utf-8")


def test_the_structures_are_what_the_published_definitions_say(
    r4_archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    script = importlib.import_module("r4_structures")
    text = script.condensed(script.definitions(r4_archive))
    assert text == (R4 / "structures.json").read_text("utf-8")


def test_the_facts_of_added_types_are_what_their_definitions_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    script = importlib.import_module("added_facts")
    texts, ids = script.made(search_ids())
    assert texts == {name: (R4.parent / "added" / name).read_text("utf-8") for name in texts}
    assert ids == (R4 / "search-ids.json").read_text("utf-8")


def test_a_view_definition_has_the_structure_that_sql_on_fhir_says() -> None:
    view = {
        "resourceType": "ViewDefinition",
        "status": "active",
        "resource": "Patient",
        "select": [{"forEach": "name"}],
    }
    assert validate(view) == []
    wrong = {
        **view,
        "status": "new",
        "resource": "Shoe",
        "select": [{"column": [{"name": "1", "path": 3}]}],
        "from": 1,
    }
    assert {issue.expression for issue in validate(wrong)} == {
        "ViewDefinition.status",
        "ViewDefinition.resource",
        "ViewDefinition.from",
        "ViewDefinition.select[0].column[0].path",
    }
    # What an object is asked for is asked where nothing within it is wrong.
    for odd, place in (
        ({"name": "a b"}, ""),
        ({"select": [{"forEach": "name", "repeat": ["item"]}]}, ".select[0]"),
    ):
        assert [issue.expression for issue in validate({**view, **odd})] == [f"ViewDefinition{place}"]


def test_the_codes_of_required_bindings_are_those_of_the_terms() -> None:
    # Both are made of the same definitions; facts hold those few that every process needs at once.
    terms = Terms()
    for name, systems in facts().codes.items():
        base = "http://terminology.hl7.org" if name.startswith("v3-") else "http://hl7.org/fhir"
        members = terms.members(f"{base}/ValueSet/{name}")
        # The type that R4 does not have is in no list of R4.
        told = {system: frozenset(codes) - {"ViewDefinition"} for system, codes in systems.items()}
        assert members.codes == told, name
        assert not members.undecided, name


def test_a_search_parameter_keeps_its_number_when_others_come_and_go() -> None:
    script = r4_facts()

    def parameter(code: str) -> dict[str, object]:
        return {
            "resourceType": "SearchParameter",
            "id": f"Basic-{code}",
            "url": code,
            "code": code,
            "base": ["Basic"],
            "type": "token",
            "expression": f"Basic.{code}",
        }

    _, first = script.condensed([parameter("b")], {})
    _, second = script.condensed([parameter("a")], json.loads(first))
    assert json.loads(second) == {"Basic.b": 1, "Basic.a": 2}


def test_the_facts_are_small() -> None:
    assert sum(path.stat().st_size for path in R4.glob("*.json")) < 4_000_000


@pytest.mark.parametrize(
    ("owner", "name", "expected"),
    [
        ("Patient", "name", [("name", "HumanName")]),
        ("Patient", "contact", [("contact", "Patient.contact")]),
        ("Patient", "deceased", [("deceasedBoolean", "boolean"), ("deceasedDateTime", "dateTime")]),
        ("Questionnaire.item", "item", [("item", "Questionnaire.item")]),
        ("Extension", "url", [("url", "uri")]),
        ("Patient", "id", [("id", "id")]),
        ("Narrative", "div", [("div", "xhtml")]),
        ("Bundle.entry", "resource", [("resource", "Resource")]),
        ("Patient", "shoe", []),
    ],
)
def test_children_are_the_json_keys_of_an_element(
    owner: str, name: str, expected: list[tuple[str, str]]
) -> None:
    assert [(child.key, child.type) for child in children(owner, name)] == expected


def test_every_type_that_an_element_names_is_known() -> None:
    known = facts().types.keys() | facts().elements.keys()
    for owner, elements in facts().elements.items():
        for name in elements:
            for child in children(owner, name.removesuffix("[x]")):
                assert child.type in known, (owner, name)


def test_compartments_name_known_parameters() -> None:
    assert facts().compartments["Patient"]["Observation"] == ("subject", "performer")
    for of_type in facts().compartments.values():
        for rtype, codes in of_type.items():
            assert rtype in resource_types()
            assert {*codes} - {"{def}"} <= facts().search[rtype].keys()
