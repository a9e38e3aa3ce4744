"""Views that are written less often: nesting, multiplication, emptiness and odd characters, on DuckDB and by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from tests.lake.view.brute import Stops, rows

from careloom.fhir.outcome import OutcomeError
from careloom.lake import engine
from careloom.lake.view.statement import compile_view

PATIENTS: list[dict[str, Any]] = [
    {
        "resourceType": "Patient", "id": "a", "active": True, "gender": "male", "birthDate": "1970-02-28", "deceasedBoolean": False,
        "multipleBirthInteger": 2,
        "meta": {"versionId": "3", "lastUpdated": "2024-02-29T10:00:00.123+02:00", "tag": [{"code": "t1"}, {"code": "t2"}]},
        "name": [
            {"use": "official", "family": "O'Brien \"Bob\"", "given": ["Zoë", "中文", "a\\b"], "period": {"start": "2001", "end": "2010-05"}},
            {"use": "usual", "given": ["%", "_"], "prefix": ["Dr."]},
            {"family": "Only;--"},
        ],
        "telecom": [{"system": "phone", "value": "+1", "rank": 1}, {"system": "email", "value": "x@y", "rank": 2}, {"value": "bare"}],
        "address": [{"line": ["1 A St", "Flat 2"], "city": "X", "period": {"start": "2020-01-01T00:00:00Z"}}, {"city": "Y"}],
        "contact": [
            {"name": {"family": "C1"}, "telecom": [{"value": "c1a"}, {"value": "c1b"}], "organization": {"reference": "Organization/o1"}},
            {"gender": "female", "telecom": [{"value": "c2"}]},
            {"relationship": [{"coding": [{"code": "N"}, {"code": "E"}]}, {"text": "friend"}]},
        ],
        "communication": [{"language": {"coding": [{"code": "de"}]}, "preferred": True}, {"language": {"text": "x"}}],
        "generalPractitioner": [{"reference": "Practitioner/p1"}, {"reference": "http://h.org/fhir/Organization/o2/_history/1"}, {"display": "none"}],
        "managingOrganization": {"reference": "Organization/o1"},
        "link": [{"other": {"reference": "Patient/b"}, "type": "seealso"}],
        "extension": [
            {"url": "http://e.org/race", "extension": [{"url": "code", "valueCoding": {"code": "r1", "display": "R 1"}}, {"url": "text", "valueString": "R"}]},
            {"url": "http://e.org/flag", "valueBoolean": True},
            {"url": "http://e.org/num", "valueDecimal": Decimal("1.50")},
        ],
        "_birthDate": {"extension": [{"url": "http://e.org/time", "valueDateTime": "1970-02-28T03:04:05Z"}]},
        "maritalStatus": {"coding": [{"system": "s", "code": "M"}, {"system": "t", "code": "m"}], "text": "it's"},
    },
    {"resourceType": "Patient", "id": "b", "gender": "female", "birthDate": "1980", "deceasedDateTime": "2020-05", "name": [{"family": "B", "given": ["Bee"]}]},
    {"resourceType": "Patient", "id": "c"},
    {"resourceType": "Patient", "id": "d", "active": False, "birthDate": "1990-07", "deceasedBoolean": True, "name": [{"text": "just text"}], "telecom": [{"rank": 9}]},
]  # fmt: skip
OBSERVATIONS: list[dict[str, Any]] = [
    {
        "resourceType": "Observation", "id": "o1", "status": "final", "subject": {"reference": "Patient/a"},
        "code": {"coding": [{"system": "http://loinc.org", "code": "85354-9"}, {"code": "bp"}]},
        "effectivePeriod": {"start": "2024-01-01", "end": "2024-01-02T10:00:00Z"},
        "component": [
            {"code": {"coding": [{"code": "sys"}]}, "valueQuantity": {"value": Decimal("120.0"), "unit": "mm[Hg]"}},
            {"code": {"coding": [{"code": "dia"}]}, "valueQuantity": {"value": Decimal(80), "unit": "mm[Hg]"}, "interpretation": [{"text": "N"}, {"text": "low"}]},
            {"code": {"text": "none"}, "valueString": "80"},
        ],
        "referenceRange": [{"low": {"value": 1}, "high": {"value": Decimal("2.5")}}, {"text": "any"}],
    },
    {"resourceType": "Observation", "id": "o2", "status": "amended", "code": {"text": "c"}, "valueInteger": 0, "effectiveDateTime": "2024-02-29", "issued": "2024-03-01T00:00:00Z"},
    {"resourceType": "Observation", "id": "o3", "status": "final", "code": {"text": " "}, "valueBoolean": False, "effectiveInstant": "2024-02-29T23:59:59.999-05:00"},
    {"resourceType": "Observation", "id": "o4", "status": "final", "code": {"coding": [{"code": "85354-9"}]}, "valueCodeableConcept": {"coding": [{"code": "x"}], "text": "X"}, "subject": {"reference": "Group/g"}},
    {"resourceType": "Observation", "id": "o5", "status": "final", "code": {}, "valueQuantity": {"value": Decimal("-0.5")}},
    {"resourceType": "Observation", "id": "o6", "status": "final", "code": {}, "valueTime": "12:30:00", "effectiveTiming": {"repeat": {"frequency": 2}}},
]  # fmt: skip
FORMS: list[dict[str, Any]] = [
    {
        "resourceType": "QuestionnaireResponse", "id": "q1", "status": "completed",
        "item": [
            {"linkId": "1", "item": [{"linkId": "1.1", "answer": [{"valueString": "x", "item": [{"linkId": "1.1.a"}]}, {"valueInteger": 3}]}, {"linkId": "1.2"}]},
            {"linkId": "2", "answer": [{"valueBoolean": True}]},
        ],
    },
    {"resourceType": "QuestionnaireResponse", "id": "q2", "status": "in-progress"},
]  # fmt: skip
ALL = [*PATIENTS, *OBSERVATIONS, *FORMS]


def c(name: str, path: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "path": path, **more}


def several(name: str, path: str) -> dict[str, Any]:
    return c(name, path, collection=True)


def view(resource: str, *select: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"resource": resource, "select": list(select), **more}


def each(path: str, *columns: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"forEach": path, "column": list(columns), **more}


def maybe(path: str, *columns: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"forEachOrNull": path, "column": list(columns), **more}


ID = {"column": [c("id", "id")]}
P, OB, Q = "Patient", "Observation", "QuestionnaireResponse"
RACE = "extension('http://e.org/race')"

# join() of nothing is the empty text in views, as the official suite has it; in FHIRPath it is nothing.
VIEWS: dict[str, dict[str, Any]] = {
    "each in each": view(P, ID, each("contact", c("n", "name.family"), select=[each("telecom", c("t", "value"))])),
    "or null in each": view(P, ID, each("name", c("u", "use"), select=[maybe("given", c("g", "$this"))])),
    "each in or null": view(P, ID, maybe("contact", c("n", "name.family"), select=[each("telecom", c("t", "value"))])),
    "or null in or null": view(P, ID, maybe("contact", c("g", "gender"), select=[maybe("relationship.coding", c("r", "code"))])),
    "two multiply": view(P, ID, each("name", c("f", "family")), each("telecom", c("t", "value"))),
    "two or null multiply": view(P, ID, maybe("address", c("city", "city")), maybe("communication", c("p", "preferred"))),
    "each with a where in it": view(P, ID, each("telecom.where(system.exists() and rank > 1)", c("v", "value"))),
    "each of primitives": view(P, ID, each("name.given", c("g", "$this"), c("n", "length()"))),
    "each of a choice": view(OB, ID, each("component.value.ofType(Quantity)", c("v", "value"), c("u", "unit"))),
    "each by place": view(P, ID, each("name[1]", several("g", "given")), each("telecom.first()", c("t", "value"))),
    "each through two lists": view(P, ID, each("contact.relationship.coding", c("k", "code"))),
    "union": view(P, ID, {"unionAll": [each("telecom", c("v", "value")), each("contact.telecom", c("v", "value"))]}),
    "union of or null": view(P, ID, {"unionAll": [maybe("telecom", c("v", "value")), maybe("address", c("v", "city"))]}),
    "union in union": view(P, ID, {"unionAll": [{"unionAll": [each("name", c("v", "family")), {"column": [c("v", "gender")]}]}, each("address", c("v", "city"))]}),
    "union in each": view(P, ID, each("contact", c("g", "gender"), unionAll=[each("telecom", c("v", "value")), {"column": [c("v", "name.family")]}])),
    "union times each": view(P, {"unionAll": [{"column": [c("a", "id")]}, {"column": [c("a", "gender")]}]}, each("name", c("f", "family"))),
    "select in select": view(P, {"select": [{"select": [{"column": [c("id", "id")]}]}], "column": [c("s", "gender")]}),
    "repeat": view(Q, ID, {"repeat": ["item", "answer.item"], "column": [c("l", "linkId"), c("n", "answer.count()")]}),
    "repeat and each": view(Q, ID, {"repeat": ["item"], "column": [c("l", "linkId")], "select": [each("answer", c("s", "value.ofType(string)"), c("i", "value.ofType(integer)"))]}),
    "repeat and or null": view(Q, ID, {"repeat": ["item"], "column": [c("l", "linkId")], "select": [maybe("answer.value.ofType(boolean)", c("b", "$this"))]}),
    "repeat in a union": view(Q, ID, {"unionAll": [{"repeat": ["item"], "column": [c("l", "linkId")]}, {"column": [c("l", "status")]}]}),
    "row index": view(P, ID, each("name", c("i", "%rowIndex"), select=[each("given", c("j", "%rowIndex"), c("g", "$this"))])),
    "row index where there is none": view(P, {"column": [c("id", "id"), c("i", "%rowIndex")]}, maybe("address", c("j", "%rowIndex"))),
    "where": view(P, ID, where=[{"path": "name.exists()"}, {"path": "active.not()"}]),
    "where of nothing": view(P, ID, where=[{"path": "active"}]),
    "where by a choice": view(P, ID, where=[{"path": "deceased.ofType(boolean) or deceased.ofType(dateTime).exists()"}]),
    "where of a list": view(P, ID, where=[{"path": "name.where(use = 'official' and period.start < @2005).exists()"}]),
    "where by a join of texts": view(P, ID, where=[{"path": "name.given.join('-').contains('%-_')"}]),
    "constants": view(P, {"column": [c("id", "id"), several("n", "name.where(family = %who).use"), c("late", "birthDate > %day")]},
        constant=[{"name": "who", "valueString": "O'Brien \"Bob\""}, {"name": "day", "valueDate": "1975-01-01"}]),
    "constants of numbers": view(OB, {"column": [c("id", "id"), several("big", "component.value.ofType(Quantity).where(value >= %least).value"), c("zero", "value.ofType(integer) = %none"), c("no", "value.ofType(boolean) = %off")]},
        constant=[{"name": "least", "valueDecimal": Decimal("80.00")}, {"name": "none", "valueInteger": 0}, {"name": "off", "valueBoolean": False}]),
    "constants of codes": view(P, {"column": [c("id", "id"), c("is", "gender = %g")]}, where=[{"path": "%g != 'x'"}], constant=[{"name": "g", "valueCode": "male"}]),
    "constants of times": view(OB, {"column": [c("id", "id"), c("t", "value.ofType(time) > %noon"), c("i", "issued >= %when"), c("e", "effective.ofType(dateTime) < %stamp")]},
        constant=[{"name": "noon", "valueTime": "12:00:00"}, {"name": "when", "valueInstant": "2024-03-01T01:00:00+01:00"}, {"name": "stamp", "valueDateTime": "2024-03"}]),
    "a constant in an each": view(P, ID, each("telecom.where(rank = %r)", c("v", "value & %end")), constant=[{"name": "r", "valuePositiveInt": 2}, {"name": "end", "valueUri": "urn:é"}]),
    "lists": view(P, {"column": [c("id", "id"), several("g", "name.given"), several("none", "photo.title"), several("r", "telecom.rank"), several("b", "communication.preferred")]}),
    "join": view(P, {"column": [c("id", "id"), c("comma", "name.given.join(', ')"), c("quote", "name.given.join('\\'')"), c("own", "name.first().given.first().join('x') & '!'")]}, where=[{"path": "name.given.exists()"}]),
    "references": view(P, {"column": [c("id", "getResourceKey()"), c("o", "managingOrganization.getReferenceKey(Organization)"), c("no", "managingOrganization.getReferenceKey(Patient)"), several("gp", "generalPractitioner.getReferenceKey()")]}),
    "references in an each": view(P, ID, each("generalPractitioner", c("p", "getReferenceKey(Practitioner)"), c("o", "getReferenceKey(Organization)"))),
    "extensions": view(P, {"column": [c("id", "id"), c("code", f"{RACE}.extension('code').value.ofType(Coding).code"), c("f", "extension('http://e.org/flag').value.ofType(boolean)"), c("n", "extension('http://e.org/num').value.ofType(decimal)"), c("t", "birthDate.extension('http://e.org/time').value.ofType(dateTime)")]}),
    "each of extensions": view(P, ID, each(f"{RACE}.extension", c("url", "url"), c("s", "value.ofType(string)"), c("d", "value.ofType(Coding).display"))),
    "boundaries": view(P, {"column": [c("id", "id"), c("lo", "birthDate.lowBoundary()"), c("hi", "birthDate.highBoundary()"), c("d", "deceased.ofType(dateTime).highBoundary()")]}),
    "boundaries of numbers": view(OB, ID, each("component.value.ofType(Quantity)", c("lo", "value.lowBoundary()"), c("hi", "value.highBoundary()"))),
    "choices": view(OB, {"column": [c("id", "id"), c("i", "value.ofType(integer)"), c("b", "value.ofType(boolean)"), c("t", "value.ofType(time)"), c("x", "value.ofType(CodeableConcept).text"), c("s", "effective.ofType(Period).start"), c("e", "effective.ofType(instant)")]}),
    "is": view(OB, {"column": [c("id", "id"), c("q", "value is Quantity"), c("i", "value is integer"), c("p", "effective is Period")]}),
    "logic of nothing": view(P, {"column": [c("id", "id"), c("a", "active and name.exists()"), c("o", "active or birthDate.exists()"), c("x", "active xor deceased.ofType(boolean)"), c("i", "active implies deceased.exists()"), c("n", "(active and {}).not()"), c("e", "active = {}")]}),
    "comparison of the imprecise": view(P, {"column": [c("id", "id"), c("lt", "birthDate < @1980-06"), c("eq", "birthDate = @1990-07-01"), c("ne", "birthDate != @1990"), c("same", "birthDate ~ @1980")]}),
    "counting": view(P, {"column": [c("id", "id"), c("n", "name.count()"), c("g", "name.given.count()"), c("d", "name.use.distinct().count()"), c("h", "contact.telecom.value.where($this.startsWith('c1')).count()")]}),
    "places": view(P, {"column": [c("id", "id"), c("f", "name.given.first()"), c("l", "name.given.last()"), c("i", "name.given[3]"), several("t", "name.given.tail()"), several("s", "name.given.skip(1).take(2)"), c("far", "name[9].family")]}),
    "texts": view(P, {"column": [c("id", "id"), c("u", "name.first().family.upper()"), c("n", "name[0].given[1].length()"), c("s", "name.first().family.substring(2, 5)"), c("r", "name.first().family.replace('\"', '')"), c("m", "name.first().family.matches('^O')"), c("i", "name.first().family.indexOf('Bob')"), c("and", "gender & '-' & birthDate.toString()")]}),
    "arithmetic": view(OB, {"column": [c("id", "id"), c("h", "referenceRange.first().low.value / 2"), c("m", "value.ofType(integer) mod 2"), c("z", "1 / value.ofType(integer)"), c("s", "component.count() * 1.5 - 0.5"), c("n", "-value.ofType(Quantity).value"), c("a", "value.ofType(Quantity).value.abs()")]}),
    "either": view(P, {"column": [c("id", "id"), c("w", "iif(active, 'yes', 'no')"), c("d", "iif(deceased.ofType(boolean).exists(), deceased.ofType(boolean), false)"), several("l", "iif(name.count() > 1, name.given, telecom.value)")]}),
    "sets": view(P, {"column": [c("id", "id"), several("u", "telecom.value | contact.telecom.value"), several("d", "(name.use | telecom.system).distinct()"), c("in", "'x@y' in telecom.value"), c("has", "name.use contains 'usual'")]}),
    "all of": view(P, {"column": [c("id", "id"), c("a", "telecom.all(value.exists())"), c("e", "telecom.empty()"), c("x", "name.exists(family.exists() and given.count() > 2)")]}),
    "of meta": view(P, {"column": [c("id", "id"), c("v", "meta.versionId"), c("u", "meta.lastUpdated"), several("t", "meta.tag.code")]}),
    "quoted names": view(P, {"column": [c("select", "id"), c("Order", "`gender`"), c("x_1", "name.first().`family`")]}),
    "where in where": view(OB, {"column": [c("id", "id"), several("c", "component.where(code.coding.where(code = 'dia').exists()).interpretation.where(text != 'N').text")]}),
    "select in a path": view(P, {"column": [c("id", "id"), several("f", "name.select(given.first())"), several("k", "contact.select(telecom.first().value)")]}),
    "escapes": view(P, {"column": [c("id", "id"), c("q", "'\\'' & '\"' & '\\\\' & '\\u00e9' & '%' & ';--'"), several("b", "name.given.where($this = 'a\\\\b')")]}),
    "several values": view(P, {"column": [c("id", "id"), c("g", "name.given")]}),
    "a condition of several": view(P, ID, where=[{"path": "name.given = 'x' or telecom.rank"}]),
}  # fmt: skip


def plain(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Numbers as they are compared; a list of nothing is nothing; in an order of its own."""

    def one(value: Any) -> Any:
        if isinstance(value, list):
            return [one(each) for each in value] or None
        return (
            round(float(value), 8)
            if isinstance(value, int | float | Decimal) and not isinstance(value, bool)
            else value
        )

    return sorted(({key: one(value) for key, value in row.items()} for row in found), key=repr)


def by_hand(definition: dict[str, Any]) -> Any:
    try:
        return plain(rows(definition, ALL))
    except (Stops, OutcomeError):
        return "stops"


TABLES = engine.tables_of(ALL)


@pytest.mark.parametrize("name", VIEWS)
def test_duckdb_says_what_the_standard_says(name: str) -> None:
    definition = VIEWS[name]
    try:
        statement = compile_view(definition)
        found: Any = plain(engine.run(engine.connect(threads=1), statement, TABLES[definition["resource"]]))
    except OutcomeError as error:
        found = "stops" if "several" in str(error) else str(error)
    assert found == by_hand(definition)
