"""Evaluating FHIRPath: types, polymorphism, dates, quantities, hooks, and the bounds that no expression gets past."""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careloom.fhir.outcome import OutcomeError
from careloom.fhir.path import Context, Node, compile  # noqa: A004 - as re.compile

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p",
    "birthDate": "1974-12-25",
    "_birthDate": {"extension": [{"url": "http://x/time", "valueDateTime": "1974-12-25T14:35:45-05:00"}]},
    "name": [
        {"use": "official", "family": "Chalmers", "given": ["Peter", None], "_given": [None, {"id": "n"}]},
        {"use": "usual", "given": ["Jim"]},
    ],
    "contained": [{"resourceType": "Organization", "id": "o", "name": "Home"}],
    "managingOrganization": {"reference": "#o"},
    "generalPractitioner": [{"reference": "Practitioner/1"}],
    "deceasedBoolean": False,
}
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
    "valueQuantity": {
        "value": Decimal("185.0"),
        "unit": "lbs",
        "system": "http://unitsofmeasure.org",
        "code": "[lb_av]",
    },
}


def found(expression: str, resource: Any = PATIENT, **variables: Any) -> list[Any]:
    return compile(expression)(resource, **variables)


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("name.given", ["Peter", "Jim"]),
        ("Patient.name.given.count()", [3]),
        ("Resource.id", ["p"]),
        ("Encounter.id", []),
        ("name.given[1].id", ["n"]),
        ("birthDate.extension('http://x/time').value.is(dateTime)", [True]),
        ("deceased is boolean", [True]),
        ("contained.ofType(Organization).name", ["Home"]),
        ("contained.where(resourceType = 'Organization').name", ["Home"]),
        ("managingOrganization.resolve().name", ["Home"]),
        ("name.where(use = 'usual').given", ["Jim"]),
        ("name.select(given.count() + $index)", [2, 2]),
        ("name.exists(family = 'Chalmers' and use = 'official')", [True]),
        ("name.all(given.exists())", [True]),
        ("(1 | 2 | 2).aggregate($this + $total, 0)", [3]),
        ("%n + 1", [4]),
        ("%context.id | %resource.id", ["p"]),
        ("birthDate + 1 month", ["1975-01-25"]),
        ("@2012-01-31 + 1 month", ["2012-02-29"]),
        ("@2012-03-31 - 1 month", ["2012-02-29"]),
        ("@T23:30 + 45 minutes", ["00:15"]),
        ("@T00:30:00 - 1 hour", ["23:30:00"]),
        ("@T01:00:00 - 50 hours", ["23:00:00"]),
        ("@2020-03-01T00:30:00Z - 1 hour", ["2020-02-29T23:30:00Z"]),
        ("@2020-03-01T00:00:00Z - 0.5 seconds", ["2020-02-29T23:59:59.5Z"]),
        ("birthDate < today()", [True]),
        ("@2018-03 < @2018-03-01", []),
        ("@2018-03-01T10:00Z = @2018-03-01T12:00+02:00", [True]),
        ("@2018-03-01T10:00Z < @2018-03-03T10:00", [True]),
        ("@2018-03-01T10:00Z < @2018-03-01T12:00", []),
        ("4 'g' = 4000 'mg'", [True]),
        ("7 days + 12 hours", [{"value": Decimal(180), "unit": "hour"}]),
        ("1 'cm' = 1 's'", []),
        ("name.given.defineVariable('g', first()).select(%g)", ["Peter", "Peter", "Peter"]),
        ("defineVariable('a' & 'b', 7).select(%ab)", [7]),
        ("name.sort(-use).use", ["usual", "official"]),
        ("'<b>x</b>'.htmlChecks() and '<script>x</script>'.htmlChecks().not()", [True]),
        ("5.htmlChecks()", []),
        ("name.family.replaceMatches('(C)(h)', '$2$1')", ["hCalmers"]),
        ("type().name", ["Patient"]),
        ("1 / 0", []),
        ("2147483647 + 1", []),
    ],
)  # fmt: skip
def test_an_expression_gives_its_values(expression: str, values: list[Any]) -> None:
    assert found(expression, n=3) == values


def test_a_choice_is_reached_by_its_name_and_keeps_its_digits() -> None:
    assert found("value.value", OBSERVATION) == [Decimal("185.0")]
    assert str(found("Observation.value.value", OBSERVATION)[0]) == "185.0"
    assert found("value > 80 'kg' and value.unit = 'lbs'", OBSERVATION) == [True]


def test_a_quantity_of_time_is_of_the_calendar_or_of_ucum_as_is_asked() -> None:
    age = {"value": 2, "system": "http://unitsofmeasure.org", "code": "a"}
    assert compile("$this = 2 years and $this > 1 'a'").holds(age, type="Age")


def test_an_element_is_evaluated_by_its_type() -> None:
    assert compile("start <= end").holds({"start": "2020", "end": "2021"}, type="Period")
    assert compile("name.given").nodes({"name": {"given": ["A"]}}, type="Patient.contact")[0].type == "string"


def test_a_node_says_where_it_stands() -> None:
    node = compile("name.given").nodes(PATIENT)[0]
    assert node == Node("Peter", "string", PATIENT["name"][0], "given", 0)


def test_hooks_are_asked_and_their_absence_is_said() -> None:
    practitioner = {"resourceType": "Practitioner", "id": "1"}
    context = Context(
        resolve={"Practitioner/1": practitioner}.get,
        member_of=lambda coding, url: coding["code"] == "29463-7" and url == "http://x",
        conforms_to=lambda _resource, url: url == "http://y",
    )
    assert compile("generalPractitioner.resolve()")(PATIENT, context) == [practitioner]
    assert compile("code.coding.memberOf('http://x')")(OBSERVATION, context) == [True]
    assert compile("conformsTo('http://y')")(OBSERVATION, context) == [True]
    assert found("generalPractitioner.resolve()") == []
    with pytest.raises(OutcomeError, match="terminology"):
        found("code.memberOf('http://x')", OBSERVATION)


def test_now_is_one_moment_within_an_evaluation() -> None:
    now = datetime(2026, 3, 4, 5, 6, 7, 891000, UTC)
    assert compile("now() | today() | timeOfDay()")(None, Context(now=now)) == [
        "2026-03-04T05:06:07.891Z",
        "2026-03-04",
        "05:06:07.891",
    ]
    assert found("now() = now()") == [True]


def test_trace_shows_and_changes_nothing() -> None:
    seen: list[tuple[str, int]] = []
    context = Context(trace=lambda name, items: seen.append((name, len(items))))
    assert compile("name.trace('all').first().trace('given', given).use")(PATIENT, context) == ["official"]
    assert seen == [("all", 2), ("given", 2)]


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("name.nothing()", "invalid"),
        ("name.first(1)", "invalid"),
        ("name is Nonsense", "invalid"),
        ("@2015-02-30", "invalid"),
        ("name.single()", "processing"),
        ("1 + 'a'", "processing"),
        ("name > 1", "processing"),
        ("%nobody", "processing"),
        ("'a'.matches('(')", "processing"),
        ("@2020-01-01 + 1 'mo'", "processing"),
    ],
)
def test_what_cannot_be_meant_is_refused(expression: str, code: str) -> None:
    with pytest.raises(OutcomeError) as caught:
        found(expression)
    assert caught.value.issues[0].code == code


@pytest.mark.parametrize(
    "expression",
    [
        "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!'.matches('^(a|aa)+$')",
        "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!'.replaceMatches('(a|aa)+$', 'b')",
        "(1|2|3|4|5|6|7|8|9).repeat($this + 1)",
        "descendants()" + ".select(%context.descendants()" * 6 + ")" * 6,
        "descendants().aggregate($total.combine($total), 1)",
        "(1|2|3|4|5|6|7|8|9).select('aaaaaaaaaa').join('').select($this & $this & $this).select(toChars()).aggregate($total & $total & $this & $this, 'a')",
        "'aaaaaaaaaaaaaaaaaaaa'.toChars().aggregate(iif($total.empty(), 'a', $total.replace('a', 'aaaaaaaaaa')))",
    ],
    ids=["regex", "regex replacement", "repeat", "nested", "doubling", "growing", "replacing"],
)  # fmt: skip
def test_a_pathological_expression_is_stopped(expression: str) -> None:
    started = time.process_time()
    with pytest.raises(OutcomeError) as caught:
        found(expression)
    assert caught.value.issues[0].code == "too-costly"
    assert time.process_time() - started < 3


def test_many_texts_are_told_apart_at_little_cost() -> None:
    many = {"resourceType": "Questionnaire", "item": [{"linkId": str(number)} for number in range(20_000)]}
    assert found("item.linkId.isDistinct() and item.linkId.distinct().count() = 20000", many) == [True]


def nested(levels: int, leaf: str) -> dict[str, Any]:
    deep: dict[str, Any] = {"url": leaf}
    for _ in range(levels):
        deep = {"url": "x", "extension": [deep]}
    return {"resourceType": "Patient", "extension": [deep]}


def test_a_resource_that_is_nested_without_end_is_survived() -> None:
    assert found("descendants().count()", nested(5000, "x")) == [10002]
    with pytest.raises(OutcomeError, match="deeply"):
        found("extension ~ %other.extension", nested(5000, "x"), other=nested(5000, "y"))


json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.decimals(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "given", "_given", "extension", "resourceType", "value", "code", "x"]),
            inner,
        )
    ),
    max_leaves=10,
)
WORDS = [
    "name",
    "given",
    "Patient",
    "extension",
    "1",
    "'a'",
    "@2020",
    "3 'mg'",
    "2 days",
    "{}",
    "$this",
    "%resource",
    "true",
]
CALLS = [
    "where(@)",
    "select(@)",
    "exists(@)",
    "all(@)",
    "repeat(@)",
    "first()",
    "count()",
    "sum()",
    "not()",
    "toString()",
    "toQuantity()",
    "lowBoundary()",
    "substring(@)",
    "join(@)",
    "sort(@)",
    "union(@)",
    "subsetOf(@)",
    "descendants()",
    "ofType(string)",
    "resolve()",
    "type()",
    "round(@)",
    "power(@)",
    "replaceMatches(@,@)",
    "iif(@,@)",
    "aggregate(@)",
    "precision()",
    "convertsToDate()",
    "distinct()",
    "extension(@)",
    "hasValue()",
]


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3) -> str:
    word = draw(st.sampled_from(WORDS))
    if depth == 0:
        return word
    parts = [f"({draw(expressions(depth - 1))})" if draw(st.booleans()) else word]
    for _ in range(draw(st.integers(0, 3))):
        call = draw(st.sampled_from([*CALLS, "name", "given", "value"]))
        while "@" in call:
            call = call.replace("@", draw(expressions(depth - 1)), 1)
        parts.append(call)
    path = ".".join(parts)
    if draw(st.booleans()):
        operator = draw(
            st.sampled_from(
                [
                    "+",
                    "-",
                    "*",
                    "/",
                    "div",
                    "mod",
                    "&",
                    "|",
                    "=",
                    "~",
                    "!=",
                    "<",
                    ">=",
                    "in",
                    "contains",
                    "and",
                    "or",
                    "xor",
                    "implies",
                ]
            )
        )
        return f"{path} {operator} {draw(expressions(depth - 1))}"
    return path


@given(expressions(), json)
def test_any_expression_on_any_json_gives_values_or_an_outcome(expression: str, resource: Any) -> None:
    with contextlib.suppress(OutcomeError):
        found(expression, resource)
    with contextlib.suppress(OutcomeError):
        found(expression, {"resourceType": "Patient", "name": resource})


def test_a_node_is_taken_as_it_is() -> None:
    beside = {"extension": [{"url": "urn:a", "valueCode": "b"}]}
    node = Node("x", "string", {"value": "x", "_value": beside}, "value")
    assert compile("$this = 'x' and extension('urn:a').exists()").holds(node)
    assert (
        compile("value.unit").nodes(Node({"valueQuantity": {"unit": "kg"}}, "Observation"))[0].value == "kg"
    )


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1 'mg' = 1", []),
        ("2 'mg' != 1", []),
        ("4 days = 4", []),
        ("1 '1' = 1", [True]),
        ("1 = 1 'mg'", []),
        ("(1 | 2) = 1", [False]),
        ("'1' = 1", [False]),
    ],
)
def test_equality_with_a_number_is_empty_where_a_unit_does_not_tell(
    expression: str, expected: list[bool]
) -> None:
    assert compile(expression)({}) == expected
