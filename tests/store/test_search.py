from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from careloom.fhir.outcome import OutcomeError
from careloom.fhir.query import parse
from careloom.store.actor import STATION
from careloom.store.commit import Origin, Write, commit
from careloom.store.database import Connection, Database
from careloom.store.read import Reader

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
ORIGIN = Origin(now=NOW, actor_id="ehr", agent="hl7v2/1", event_id=7)
LOINC = "http://loinc.org"


def observation(id_: str, **more: object) -> dict[str, object]:
    return {
        "resourceType": "Observation",
        "id": id_,
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "8867-4"}]},
        "subject": {"reference": "Patient/p"},
        "effectiveDateTime": f"2026-01-{int(id_):02}T08:00:00Z",
        **more,
    }


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.connection() as connection:
        yield connection


def say(connection: Connection, *resources: dict[str, Any]) -> None:
    commit(connection, [Write(one) for one in resources], ORIGIN)


def ids(connection: Connection, rtype: str, *pairs: tuple[str, str], **more: str) -> list[str]:
    return [found["id"] for found in Reader(connection, STATION).find(rtype, *pairs, **more)]


def test_first(connection: Connection) -> None:
    two = {"coding": [{"system": LOINC, "code": "x"}, {"system": LOINC, "code": "8867-4"}]}
    say(connection, *(observation(str(n), **({"code": two} if n % 3 == 0 else {})) for n in range(1, 10)))
    say(connection, {"resourceType": "Patient", "id": "p", "name": [{"family": "Ångström"}]})

    def found(*pairs: tuple[str, str], **more: str) -> list[str]:
        return ids(connection, "Observation", *pairs, **more)

    assert found() == [str(n) for n in range(9, 0, -1)]
    assert found(("code", f"{LOINC}|8867-4"), sort="date") == [str(n) for n in range(1, 10)]
    assert found(("code", f"{LOINC}|x"), ("patient", "p")) == ["9", "6", "3"]
    assert found(("date", "ge2026-01-05"), ("status", "final"), sort="date") == ["5", "6", "7", "8", "9"]
    assert found(("subject:Patient.name", "angs"), ("date", "2026-01-05")) == ["5"]
    assert found(("subject", "Patient/q")) == []
    assert ids(connection, "Patient", ("_has:Observation:patient:code", "x")) == ["p"]


def test_pages_lead_there_and_back_while_rows_come_and_go(connection: Connection) -> None:
    say(connection, *(observation(str(n)) for n in range(1, 11)))

    def page(cursor: str | None) -> tuple[list[str], Any]:
        pairs = [("_count", "3"), ("_sort", "date"), *([("_cursor", cursor)] if cursor else [])]
        found = Reader(connection, STATION).search(parse("Observation", pairs, strict=True))
        return [one.id for one in found.matches], found

    first, one = page(None)
    assert (first, one.previous) == (["1", "2", "3"], None)
    commit(connection, [Write({"resourceType": "Observation", "id": "2"}, verb="delete")], ORIGIN)
    second, two = page(one.next)
    assert second == ["4", "5", "6"]
    assert page(two.previous)[0] == ["1", "3"]
    last, end = page(one.last)
    assert (last, end.next) == (["8", "9", "10"], None)
    assert page(end.previous)[0] == ["5", "6", "7"]
    with pytest.raises(OutcomeError, match="begin again"):
        page("bm9uc2Vuc2U")


def test_undated_rows_come_last_in_both_directions(connection: Connection) -> None:
    say(connection, observation("1"), observation("2"))
    undated = observation("3")
    del undated["effectiveDateTime"]
    say(connection, undated)
    assert ids(connection, "Observation", sort="date") == ["1", "2", "3"]
    assert ids(connection, "Observation", sort="-date") == ["2", "1", "3"]


def test_codes_that_differ_behind_a_thousand_characters_are_told_apart(connection: Connection) -> None:
    long = "x" * 1_500
    for name in ("1", "2"):
        coding = {"system": "urn:s", "code": long + name}
        say(
            connection,
            observation(name, code={"coding": [coding]}, identifier=[{"system": long, "value": long + name}]),
        )
    for name in ("1", "2"):
        assert ids(connection, "Observation", ("code", long + name)) == [name]
        assert ids(connection, "Observation", ("code", f"urn:s|{long}{name}")) == [name]
        assert ids(connection, "Observation", ("identifier", f"{long}|{long}{name}")) == [name]
        assert ids(connection, "Observation", ("code:not", long + name)) == [{"1": "2", "2": "1"}[name]]
    assert ids(connection, "Observation", ("code", long)) == []


def test_codes_are_found_by_value_set_and_by_hierarchy(connection: Connection) -> None:
    tree = [
        {"code": "animal", "concept": [{"code": "cat", "concept": [{"code": "kitten"}]}, {"code": "dog"}]}
    ]
    system = {
        "resourceType": "CodeSystem", "id": "s", "url": "http://x/s", "status": "active", "content": "complete",
        "concept": tree,
    }  # fmt: skip
    include = [{"system": "http://x/s", "filter": [{"property": "concept", "op": "is-a", "value": "cat"}]}]
    cats = {
        "resourceType": "ValueSet", "id": "cats", "url": "http://x/cats", "status": "active",
        "compose": {"include": include, "exclude": [{"system": "http://x/s", "concept": [{"code": "cat"}]}]},
    }  # fmt: skip
    both = {
        "resourceType": "ValueSet", "id": "both", "url": "http://x/both", "status": "active",
        "compose": {"include": [{"valueSet": ["http://x/cats"]}, {"system": "http://x/s", "concept": [{"code": "dog"}]}]},
    }  # fmt: skip
    say(connection, system, cats, both)
    codes = ["animal", "cat", "kitten", "dog"]
    for number, code in enumerate(codes, 1):
        say(connection, observation(str(number), code={"coding": [{"system": "http://x/s", "code": code}]}))

    def found(modifier: str, text: str) -> set[str]:
        return {codes[int(one) - 1] for one in ids(connection, "Observation", (f"code:{modifier}", text))}

    assert found("below", "http://x/s|cat") == {"cat", "kitten"}
    assert found("above", "http://x/s|kitten") == {"animal", "cat", "kitten"}
    assert found("in", "http://x/cats") == {"kitten"}
    assert found("in", "ValueSet/both") == {"kitten", "dog"}
    assert found("not-in", "http://x/cats") == {"animal", "cat", "dog"}
    assert ids(connection, "Observation", ("_filter", "code sb http://x/s|dog")) == ["4"]
    for text in ("http://x/unknown", "ValueSet/unknown"):
        with pytest.raises(OutcomeError, match="not known"):
            found("in", text)
    with pytest.raises(OutcomeError, match="not known"):
        found("below", "http://x/other|a")


def test_the_value_sets_of_required_bindings_are_known_without_being_stored(connection: Connection) -> None:
    say(connection, {"resourceType": "Patient", "id": "p", "gender": "female"})
    genders = "http://hl7.org/fhir/ValueSet/administrative-gender"
    assert ids(connection, "Patient", ("gender:in", genders)) == ["p"]
    assert ids(connection, "Patient", ("gender:not-in", genders)) == []


def test_what_is_part_of_a_place_is_below_it(connection: Connection) -> None:
    places = {"house": "", "floor": "house", "room": "floor", "shed": ""}
    for name, whole in places.items():
        part = {"partOf": {"reference": f"Location/{whole}"}} if whole else {}
        say(connection, {"resourceType": "Location", "id": name, **part})
    for number, name in enumerate(places, 1):
        visit = {"location": [{"location": {"reference": f"Location/{name}"}}], "class": {"code": "IMP"}}
        say(connection, {"resourceType": "Encounter", "id": str(number), "status": "finished", **visit})

    def found(modifier: str, text: str) -> set[str]:
        return set(ids(connection, "Encounter", (f"location:{modifier}", text)))

    assert found("below", "Location/floor") == {"2", "3"}
    assert found("below", "house") == {"1", "2", "3"}
    assert found("above", "Location/room") == {"1", "2", "3"}


def test_a_canonical_leads_to_what_bears_its_url_and_version(connection: Connection) -> None:
    for version in ("1", "2"):
        library = {"url": "http://x/l", "version": version, "title": f"Title {version}", "status": "active"}
        say(connection, {"resourceType": "Library", "id": f"l{version}", "type": {"text": "x"}, **library})
    for name, canonical in (("any", "http://x/l"), ("second", "http://x/l|2")):
        say(connection, {"resourceType": "Measure", "id": name, "status": "active", "library": [canonical]})

    def beside(rtype: str, *pairs: tuple[str, str]) -> set[str]:
        page = Reader(connection, STATION).search(parse(rtype, list(pairs), strict=True))
        return {one.id for one in page.included}

    assert set(ids(connection, "Measure", ("depends-on:Library.title", "title 1"))) == {"any"}
    assert set(ids(connection, "Measure", ("depends-on:Library.title", "title 2"))) == {"any", "second"}
    assert set(ids(connection, "Library", ("_has:Measure:depends-on:_id", "second"))) == {"l2"}
    assert beside("Measure", ("_id", "second"), ("_include", "Measure:depends-on")) == {"l2"}
    assert beside("Library", ("_id", "l2"), ("_revinclude", "Measure:depends-on")) == {"any", "second"}
    assert beside("Library", ("_id", "l1"), ("_revinclude", "Measure:depends-on")) == {"any"}


def test_a_quantity_is_found_in_every_unit_that_measures_the_same(connection: Connection) -> None:
    amounts = [("80", "kg"), ("80000", "g"), ("8000", "g"), ("80", "cm"), ("176.4", "[lb_av]")]
    for number, (value, unit) in enumerate(amounts, 1):
        measured = {
            "value": Decimal(value),
            "unit": unit,
            "system": "http://unitsofmeasure.org",
            "code": unit,
        }
        part = {"code": {"coding": [{"system": LOINC, "code": "w"}]}, "valueQuantity": measured}
        say(connection, observation(str(number), valueQuantity=measured, component=[part]))

    def found(text: str, name: str = "value-quantity") -> set[str]:
        return set(ids(connection, "Observation", (name, text)))

    assert found("80|http://unitsofmeasure.org|kg") == {"1", "2", "5"}
    assert found("80.0|http://unitsofmeasure.org|kg") == {"1", "2", "5"}
    assert found("80.00|http://unitsofmeasure.org|kg") == {"1", "2"}
    assert found("lt10000|http://unitsofmeasure.org|g") == {"3"}
    assert found("gt0.5|http://unitsofmeasure.org|m") == {"4"}
    assert found("w$80|http://unitsofmeasure.org|kg", "component-code-value-quantity") == {"1", "2", "5"}
    assert found("w$80|http://unitsofmeasure.org|kg", "combo-code-value-quantity") == {"1", "2", "5"}
    assert found("80||kg") == {"1"}
    assert found("80") == {"1", "4"}
    assert found("80|http://unitsofmeasure.org|no-unit") == set()
