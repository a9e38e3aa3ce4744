"""Compiled views say what FHIRPath says: random resources and random paths, on DuckDB and in the evaluator."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from careloom.fhir.outcome import OutcomeError
from careloom.fhir.path import compile as compile_path
from careloom.lake import engine
from careloom.lake.view.statement import compile_view

CONNECTION = engine.connect(threads=1)

words = st.sampled_from(["a", "b", "Ab", "official", "mg", "x y", "é'", ""]).filter(bool)
days = st.sampled_from(["2020", "2020-02", "2020-02-29", "2019-12-31", "2020-02-28"])
moments = days | st.sampled_from(
    [
        "2020-02-29T10:00:00Z",
        "2020-02-29T12:00:00+02:00",
        "2020-02-29T10:00:00.5Z",
        "2020-03-01T00:30:00+14:00",
    ]
)
decimals = st.sampled_from(["1", "1.0", "1.50", "-0.25", "120", "0.1", "3e2"]).map(Decimal)


def some(**elements: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object with some of these elements, and never none."""
    return st.fixed_dictionaries({}, optional=elements).filter(bool)


def few(items: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(items, min_size=1, max_size=3)


periods = some(start=moments, end=moments)
quantities = some(value=decimals, unit=words, code=words, system=words)
codings = some(system=words, code=words, display=words)
concepts = some(coding=few(codings), text=words)
extensions = st.one_of(
    some(valueString=words),
    some(valueCode=words),
    some(valueBoolean=st.booleans()),
    some(valueDecimal=decimals),
    some(valueAddress=some(city=words)),
    some(valueCoding=codings),
    some(extension=few(some(valueString=words).map(lambda one: {"url": "in", **one}))),
).flatmap(lambda one: st.sampled_from(["u1", "u2"]).map(lambda url: {"url": url, **one}))
names = some(use=words, family=words, given=few(words), period=periods, id=words, extension=few(extensions))
patients = some(
    id=words,
    active=st.booleans(),
    gender=words,
    birthDate=days,
    name=few(names),
    telecom=few(some(system=words, value=words, rank=st.integers(1, 9))),
    contact=few(some(name=names, gender=words, relationship=few(concepts))),
    maritalStatus=concepts,
    extension=few(extensions),
    managingOrganization=some(reference=words, display=words),
    _birthDate=some(extension=few(extensions)),
).flatmap(
    lambda one: st.sampled_from(
        [{}, {"deceasedBoolean": True}, {"deceasedDateTime": "2020-02"}, {"multipleBirthInteger": 2}]
    ).map(lambda choice: {"resourceType": "Patient", **one, **choice})
)
values = st.one_of(
    some(valueQuantity=quantities),
    some(valueString=words),
    some(valueInteger=st.integers(-5, 5)),
    some(valueBoolean=st.booleans()),
    some(valueDateTime=moments),
    some(valueCodeableConcept=concepts),
    some(valueTime=st.sampled_from(["12:00:00", "12:00:00.5", "09:30:00"])),
    st.just({}),
)
observations = st.tuples(
    some(
        id=words,
        status=words,
        code=concepts,
        effectiveDateTime=moments,
        issued=st.just("2020-02-29T10:00:00Z"),
        category=few(concepts),
        component=few(
            st.tuples(some(code=concepts, interpretation=few(concepts)), values).map(lambda p: p[0] | p[1])
        ),
        referenceRange=few(some(low=quantities, high=quantities, text=words)),
    ),
    values,
).map(lambda pair: {"resourceType": "Observation", **pair[0], **pair[1]})

# Paths, by what they lead to.
TEXTS = {
    "Patient": [
        "id", "gender", "name.family", "name.given", "name.use", "contact.name.given", "telecom.value", "name.id",
        "maritalStatus.coding.code", "maritalStatus.text", "contact.relationship.coding.system",
        "extension('u1').value.ofType(string)", "extension('u2').value.ofType(code)", "extension.url",
        "extension('u1').value.ofType(Address).city", "extension('u1').value.ofType(Coding).code",
        "extension('u1').extension('in').value.ofType(string)", "name.extension('u1').value.ofType(string)",
        "birthDate.extension('u1').value.ofType(string)", "managingOrganization.reference",
        "contact.name.extension.url",
    ],
    "Observation": [
        "id", "status", "code.coding.code", "code.text", "category.coding.display", "value.ofType(string)",
        "value.ofType(Quantity).unit", "component.code.coding.system", "component.value.ofType(string)",
        "component.value.ofType(Quantity).code", "referenceRange.text", "referenceRange.low.unit",
        "value.ofType(CodeableConcept).coding.code", "component.interpretation.text",
    ],
}  # fmt: skip
NUMBERS = {
    "Patient": ["telecom.rank", "multipleBirth.ofType(integer)", "extension('u1').value.ofType(decimal)"],
    "Observation": [
        "value.ofType(Quantity).value", "value.ofType(integer)", "component.value.ofType(Quantity).value",
        "referenceRange.low.value", "referenceRange.high.value", "component.value.ofType(integer)",
    ],
}  # fmt: skip
DATES = {
    "Patient": ["birthDate", "name.period.start", "deceased.ofType(dateTime)"],
    "Observation": ["effective.ofType(dateTime)", "value.ofType(dateTime)", "issued"],
}
ELEMENTS = {
    "Patient": [
        "name",
        "contact",
        "contact.name",
        "telecom",
        "extension",
        "maritalStatus.coding",
        "name.period",
    ],
    "Observation": [
        "component",
        "code",
        "code.coding",
        "referenceRange",
        "component.value",
        "value",
        "category",
    ],
}
BOOLEANS = {
    "Patient": ["active", "deceased.ofType(boolean)", "extension('u1').value.ofType(boolean)"],
    "Observation": ["value.ofType(boolean)", "component.value.ofType(boolean)"],
}
literals = st.sampled_from(["'a'", "'b'", "'official'", "'mg'", "'é\\''"])
places = st.sampled_from([".first()", ".last()", "[0]", "[1]", ".tail()", ".skip(1)", ".take(2)", ""])


@st.composite
def paths(draw: st.DrawFn, kind: str) -> str:  # noqa: PLR0911 - one for each kind of path
    """A path that leads to primitives."""
    text = st.sampled_from(TEXTS[kind])
    number, date = st.sampled_from(NUMBERS[kind]), st.sampled_from(DATES[kind])
    element = st.sampled_from(ELEMENTS[kind])
    truth = conditions(kind)
    one = draw(
        st.sampled_from(
            ["list", "condition", "counted", "where", "math", "texts", "iif", "union", "each", "boundary"]
        )
    )
    match one:
        case "list":
            return draw(st.one_of(text, number, date, st.sampled_from(BOOLEANS[kind]))) + draw(places)
        case "condition":
            return draw(truth)
        case "counted":
            return draw(st.one_of(element, text)) + draw(
                st.sampled_from([".count()", ".exists()", ".empty()", ".exists().not()"])
            )
        case "where":
            return _within(draw, kind)
        case "math":
            sign = draw(st.sampled_from(["+", "-", "*", "/", "mod", "div"]))
            right = draw(
                st.sampled_from(["2", "0", "1.5", "0.1"]) | number.map(lambda path: f"{path}.first()")
            )
            return f"{draw(number)}.first() {sign} {right}"
        case "texts":
            call = draw(
                st.sampled_from([
                    ".upper()", ".length()", ".startsWith('a')", ".contains('b')", ".substring(1)", ".substring(0, 1)",
                    ".replace('a', 'bb')", ".indexOf('b')", ".matches('^[ab]$')", " + 'z'", " & 'z'", ".toInteger()",
                ])
            )  # fmt: skip
            return f"{draw(text)}.first(){call}"
        case "iif":
            return f"iif({draw(truth)}, {draw(text)}, {draw(text)}.first())"
        case "union":
            return draw(
                st.sampled_from([f"{draw(text)} | {draw(text)}", f"{draw(text)}.combine({draw(text)})"])
            )
        case "each":
            return f"{draw(text)}.select($this & '!')"
        case _:
            bound = draw(st.sampled_from(["lowBoundary()", "highBoundary()"]))
            return f"{draw(date)}.first().{bound}"


def _within(draw: st.DrawFn, kind: str) -> str:
    if kind == "Patient":
        return draw(
            st.sampled_from([
                "name.where(use = 'a').family", "name.where(given.exists()).family.first()", "name.where(period.start > @2019).use",
                "telecom.where(rank < 5).value", "contact.where(name.family = 'a').gender", "name.where($this.use = 'b').given[0]",
                "contact.where(relationship.coding.where(code = 'a').exists()).name.family", "telecom.where(rank.exists()).rank",
                "extension.where(url = 'u1').value.ofType(string)", "name.where(family = use).given", "name.all(use.exists())",
                "telecom.exists(system = 'a' and rank > 2)", "name.given.where($this = 'a').count()", "name.given.distinct()",
                "name.select(given.first())", "name.select(family | use)", "Patient.name.family", "where(active).gender",
                "where(gender = 'a').name.given", "name.where(given = 'a').use", "deceased.exists()", "deceased is boolean",
            ])
        )  # fmt: skip
    return draw(
        st.sampled_from([
            "component.where(value.exists()).code.text", "component.where(code.coding.code = 'a').value.ofType(Quantity).value",
            "code.coding.where(system = 'a').code", "category.where(coding.exists(code = 'b')).text", "value.exists()",
            "component.where(value.ofType(integer) > 1).value.ofType(integer)", "referenceRange.where(low.value <= 1.5).text",
            "value is Quantity", "component.value.exists()", "value.ofType(Quantity).where(unit = 'mg').value",
            "component.select(code.coding.code)", "component.value.ofType(Quantity).where(value > 1).exists()",
            "(value.ofType(Quantity).value | referenceRange.low.value).count()", "value.ofType(time)",
            "component.where(value is integer).code.text", "where(status = 'a').code.coding.code.first()", "value.empty()",
        ])
    )  # fmt: skip


@st.composite
def conditions(draw: st.DrawFn, kind: str, depth: int = 2) -> str:
    if depth and draw(st.booleans()):
        left, right = draw(conditions(kind, depth - 1)), draw(conditions(kind, depth - 1))
        return f"({left} {draw(st.sampled_from(['and', 'or', 'xor', 'implies']))} {right})"
    text, number, date = (draw(st.sampled_from(each[kind])) for each in (TEXTS, NUMBERS, DATES))
    sign, order = draw(st.sampled_from(["=", "!="])), draw(st.sampled_from(["<", "<=", ">", ">="]))
    return draw(
        st.sampled_from([
            f"{text} {sign} {draw(literals)}",
            f"{text}.first() {order} {draw(literals)}",
            f"{text}.first() ~ {draw(literals)}",
            f"{number} {sign} 1.5",
            f"{number}.first() {order} 1",
            f"{date}.first() {sign} @2020-02-29",
            f"{date}.first() {order} @2020-02",
            f"{date}.first() {order} @2020-02-29T10:00:00Z",
            f"{draw(literals)} in {text}",
            f"{text}.exists()",
            f"({text}.empty()).not()",
            f"({draw(st.sampled_from(BOOLEANS[kind]))}.first())",
        ])
    )  # fmt: skip


def expected(path: str, resource: dict[str, Any]) -> list[Any] | None:
    """What the evaluator gives; None where it says that the values do not go with what is asked."""
    try:
        found = compile_path(path)(resource)
    except OutcomeError:
        return None
    return [
        round(float(each), 8) if _is_number(each) else str(each) if not isinstance(each, bool) else each
        for each in found
    ]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def refusal(definition: dict[str, Any]) -> OutcomeError | None:
    try:
        compile_view(definition)
    except OutcomeError as error:
        return error
    return None


def compiled(path: str, resources: list[dict[str, Any]]) -> list[list[Any] | None] | None:
    """What the column gives for each resource, None where the query stops; None in all where the path is refused."""
    kind = resources[0]["resourceType"]
    view = {"resource": kind, "select": [{"column": [{"name": "v", "path": path, "collection": True}]}]}
    refused = refusal(view)
    if refused is not None:
        # With the place; it never gives something else.
        assert refused.issues[0].code in {"invalid", "not-supported"}
        assert "character" in str(refused)
        return None
    statement = compile_view(view)
    answers: list[list[Any] | None] = []
    for resource in resources:
        table = engine.tables_of([resource])[kind]
        answers.append(answer(statement, table))
    return answers


def answer(statement: Any, table: Any) -> list[Any] | None:
    try:
        [row] = engine.run(CONNECTION, statement, table)
    except OutcomeError:
        return None
    return [round(float(each), 8) if _is_number(each) else each for each in row["v"]]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_compiled_path_gives_what_the_evaluator_gives(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["Patient", "Observation"]))
    resources = data.draw(st.lists(patients if kind == "Patient" else observations, min_size=1, max_size=4))
    path = data.draw(paths(kind))
    note(path)
    found = compiled(path, resources)
    if found is None:
        return
    for resource, answer in zip(resources, found, strict=True):
        wanted = expected(path, resource)
        if wanted is None:
            assert answer is None or not answer
        else:
            assert answer == wanted
