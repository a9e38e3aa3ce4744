"""lake.view: what a ViewDefinition says wrongly is told with its place; what it says rightly becomes rows."""

from __future__ import annotations

from datetime import UTC
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from careloom.fhir.outcome import OutcomeError
from careloom.lake import engine
from careloom.lake.view.statement import compile_view

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "7",
    "birthDate": "1970-06",
    "name": [{"family": "A", "given": ["B", "C"]}, {"family": "D"}],
    "text": {"status": "generated", "div": "<div>hello</div>"},
    "contained": [{"resourceType": "Organization", "name": "General"}, {"resourceType": "Basic", "id": "b"}],
    "contact": [{"name": {"family": "E"}, "telecom": [{"value": "1"}, {"value": "2"}]}],
}


def column(path: str, name: str = "v", **more: Any) -> dict[str, Any]:
    return {"name": name, "path": path, **more}


def view(*columns: dict[str, Any], resource: str = "Patient", **more: Any) -> dict[str, Any]:
    return {"resource": resource, "select": [{"column": list(columns)}], **more}


def rows(definition: dict[str, Any], *resources: dict[str, Any]) -> list[dict[str, Any]]:
    statement = compile_view(definition)
    given = resources or (PATIENT,)
    return engine.run(engine.connect(threads=1), statement, engine.tables_of(given)[statement.resource])


@pytest.mark.parametrize(
    ("definition", "place", "words"),
    [
        ({}, "ViewDefinition", "resource"),
        ([], "ViewDefinition", "object"),
        (view(column("id"), resource="Elephant"), "ViewDefinition.resource", "Elephant"),
        (view(), "ViewDefinition.select", "no column"),
        (view(column("name.")), "ViewDefinition.select[0].column[0].path", "character 6"),
        (view(column("name.where(use = ")), "ViewDefinition.select[0].column[0].path", "character"),
        (view(column("name.hover()")), "ViewDefinition.select[0].column[0].path", "character 6"),
        (view(column("name.where()")), "ViewDefinition.select[0].column[0].path", "0 arguments"),
        (view(column("%x")), "ViewDefinition.select[0].column[0].path", "%x"),
        (view(column("name")), "ViewDefinition.select[0].column[0].path", "HumanName"),
        (view(column("birthDate > 3")), "ViewDefinition.select[0].column[0].path", "no meaning"),
        (view(column("id", "1x")), "ViewDefinition.select[0].column[0].name", "begins with a letter"),
        (view(column("id"), column("id", "V")), "ViewDefinition.select[0].column[1].path", "two columns"),
        (view(column("id", type="integer")), "ViewDefinition.select[0].column[0].path", "declared integer"),
        (
            view(column("id", collection="yes")),
            "ViewDefinition.select[0].column[0].collection",
            "true or false",
        ),
        (view(column("id"), where=[{"path": "id"}]), "ViewDefinition.where[0].path", "true or false"),
        (view(column("id"), where=[{}]), "ViewDefinition.where[0]", "path"),
        (view({**column("id"), "colour": 1}), "ViewDefinition.select[0].column[0]", "colour"),
        (view(column("id"), constant=[{"name": "a"}]), "ViewDefinition.constant[0]", "value[x]"),
        (
            view(column("id"), constant=[{"name": "a", "valueDate": "x"}]),
            "ViewDefinition.constant[0].valueDate",
            "not a date",
        ),
        (
            {"resource": "Patient", "select": [{"forEach": "name", "repeat": ["name"]}]},
            "ViewDefinition.select[0]",
            "only one",
        ),
        (
            {
                "resource": "Patient",
                "select": [{"unionAll": [{"column": [column("id")]}, {"column": [column("id", "w")]}]}],
            },
            "ViewDefinition.select[0].unionAll[1]",
            "same columns",
        ),
        (
            {
                "resource": "Patient",
                "select": [{"unionAll": [{"column": [column("id")]}, {"column": [column("active")]}]}],
            },
            "ViewDefinition.select[0].unionAll[1].column[0].path",
            "boolean",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(definition: Any, place: str, words: str) -> None:
    with pytest.raises(OutcomeError) as caught:
        compile_view(definition)
    [issue] = caught.value.issues
    assert issue.expression == place
    assert words in issue.text


def test_an_unknown_element_is_empty_and_warned_of() -> None:
    statement = compile_view(view(column("name.famly")))
    assert [issue.text for issue in statement.warnings] == [
        "There is no element famly in HumanName (FHIRPath, character 6)."
    ]
    assert rows(view(column("name.famly"))) == [{"v": None}]


def test_several_values_in_one_cell_stop_the_query_and_name_the_column() -> None:
    with pytest.raises(OutcomeError) as caught:
        rows(view(column("name.family")))
    [issue] = caught.value.issues
    assert issue.expression == "ViewDefinition.select[0].column[0].path"
    assert issue.text == "'v' has several values; say \"collection\": true."


def test_an_error_of_the_engine_holds_no_value_of_a_row() -> None:
    definition = view(column("name.family & 'x'"))
    with pytest.raises(OutcomeError) as caught:
        rows(definition, {**PATIENT, "name": [{"family": "Canary"}, {"family": "Canary"}]})
    assert "Canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("text.div", "<div>hello</div>"),
        ("contained.ofType(Organization).name", "General"),
        ("contained.where($this is Basic).count()", 1),
        ("name.where(family = 'D').exists()", True),
        ("name[0].given[1]", "C"),
        ("name.given.join('-')", "B-C"),
        ("birthDate.lowBoundary()", "1970-06-01"),
        ("birthDate < @1970-07", True),
        ("birthDate < @1970-06-15", None),
        ("(0.1 + 0.2) = 0.3", True),
        ("7 div 2 + 7 mod 2", 4),
        ("1 / 0", None),
        ("'it\\'s' & '\\\\'", "it's\\"),
    ],
)
def test_a_path_gives_what_fhirpath_gives(path: str, value: object) -> None:
    assert rows(view(column(path))) == [{"v": value}]


def test_a_decimal_keeps_its_digits_where_they_are_asked_for() -> None:
    observation = {"resourceType": "Observation", "status": "final"}
    exact = engine.tables_of([{**observation, "valueQuantity": {"value": Decimal("1.00")}}])
    statement = compile_view(
        view(column("value.ofType(Quantity).value.lowBoundary()"), resource="Observation")
    )
    [row] = engine.run(engine.connect(threads=1), statement, exact["Observation"])
    assert row == {"v": 0.995}


def test_repeat_goes_deep_and_stops_the_query_where_it_cannot_go_on() -> None:
    definition = {
        "resource": "QuestionnaireResponse",
        "select": [
            {"repeat": ["item", "answer.item"], "column": [column("linkId"), column("%rowIndex", "i")]}
        ],
    }

    def nested(depth: int) -> dict[str, Any]:
        item: dict[str, Any] = {"linkId": str(depth)}
        for level in range(depth - 1, 0, -1):
            item = {"linkId": str(level), "item": [item], "answer": [{"item": [{"linkId": f"a{level}"}]}]}
        return {"resourceType": "QuestionnaireResponse", "item": [item, {"linkId": "last"}]}

    found = rows(definition, nested(3))
    assert [(row["i"], row["v"]) for row in sorted(found, key=lambda row: row["i"])] == [
        (0, "1"), (1, "2"), (2, "3"), (3, "a2"), (4, "a1"), (5, "last"),
    ]  # fmt: skip
    assert len(rows(definition, nested(20))) == 20 + 19 + 1
    with pytest.raises(OutcomeError, match="deeper than 20"):
        rows(definition, nested(21))


def test_repeat_within_a_context_that_is_typed_reads_it_from_json() -> None:
    definition = {
        "resource": "Patient",
        "select": [
            {
                "forEach": "contact",
                "column": [column("name.family")],
                "select": [{"repeat": ["telecom"], "column": [column("value", "t")]}],
            }
        ],
    }
    assert rows(definition) == [{"v": "E", "t": "1"}, {"v": "E", "t": "2"}]


def test_a_tag_says_the_type_that_a_column_has_for_sql() -> None:
    tagged = {**column("birthDate.lowBoundary()"), "tag": [{"name": "ansi/type", "value": "DATE"}]}
    [row] = rows(view(tagged))
    assert row["v"].isoformat() == "1970-06-01"
    with pytest.raises(OutcomeError, match="ansi/type"):
        compile_view(view({**column("id"), "tag": [{"name": "ansi/type", "value": "ELEPHANT; DROP"}]}))


@pytest.mark.parametrize(
    ("written", "day", "instant"),
    [
        ("2020", "2020-01-01", "2020-01-01T00:00:00+00:00"),
        ("2020-06", "2020-06-01", "2020-06-01T00:00:00+00:00"),
        ("2020-06-02", "2020-06-02", "2020-06-02T00:00:00+00:00"),
        ("2020-06-02T23:30:00-05:00", "2020-06-02", "2020-06-03T04:30:00+00:00"),
        ("2020-06-02T01:00:00.250Z", "2020-06-02", "2020-06-02T01:00:00.250000+00:00"),
    ],
)
def test_a_date_of_any_precision_and_offset_is_a_day_or_an_instant_by_a_tag(
    written: str, day: str, instant: str
) -> None:
    def typed(kind: str) -> Any:
        tag = [{"name": "ansi/type", "value": kind}]
        definition = view({**column("effective.ofType(dateTime)"), "tag": tag}, resource="Observation")
        [row] = rows(definition, {"resourceType": "Observation", "effectiveDateTime": written})
        return row["v"]

    assert typed("DATE").isoformat() == day
    assert typed("TIMESTAMP").date().isoformat() == day
    assert typed("TIMESTAMP WITH TIME ZONE").astimezone(UTC).isoformat() == instant


def test_no_text_of_a_view_can_leave_its_quotes() -> None:
    nasty = "x'); DROP TABLE Patient; --"
    path = "name.where(family = '" + nasty.replace("'", "\\'") + "').exists()"
    assert rows(view(column(path), constant=[{"name": "c", "valueString": nasty}])) == [{"v": False}]
    assert rows(view(column("%c"), constant=[{"name": "c", "valueString": nasty}])) == [{"v": nasty}]


@pytest.mark.parametrize(
    ("reference", "key"),
    [
        ("Patient/7", "7"),
        ("Patient/7/_history/2", "7"),
        ("http://there/fhir/Patient/7", "7"),
        ("urn:uuid:0aa3c7b8-6a50-4b6f-8a53-0f6a8c6d9d11", "0aa3c7b8-6a50-4b6f-8a53-0f6a8c6d9d11"),
        ("Group/7", None),
        ("#7", None),
        ("http://there/fhir/Patient/7?x=1", None),
    ],
)
def test_the_key_of_a_reference_is_the_id_in_it(reference: str, key: str | None) -> None:
    observation = {"resourceType": "Observation", "subject": {"reference": reference}}
    definition = view(column("subject.getReferenceKey(Patient)"), resource="Observation")
    assert rows(definition, observation) == [{"v": key}]


def test_nothing_is_spilled_to_the_working_directory(tmp_path: Path) -> None:
    def setting(connection: engine.Connection) -> str:
        [found] = connection.execute("SELECT current_setting('temp_directory')").fetchone() or ("?",)
        return found

    assert setting(engine.connect()) == ""
    assert setting(engine.connect(spill=tmp_path)).startswith(str(tmp_path))
