"""The FHIR browser: what it finds, shows, compares and refuses; through HTTP on a real database."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from careloom.fhir.facts import resource_types
from careloom.fhir.query import parse
from careloom.fhir.resource import dumps, loads
from careloom.store.actor import Actor
from careloom.store.confinement import confine
from careloom.web.hints import hints, pointing_at
from careloom.web.pages.browse import says
from careloom.web.pretty import compared, lines

SOURCE = Actor("clinic", frozenset({"source"}))
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p1",
    "name": [{"family": "Okafor", "given": ["Ada"]}],
    "gender": "female",
    "birthDate": "1980-05-03",
}
WEIGHT = b"""{"resourceType":"Observation","id":"w1","status":"final","code":{"text":"Weight"},
 "subject":{"reference":"Patient/p1"},"effectiveDateTime":"2026-01-02",
 "valueQuantity":{"value":70.500,"unit":"kg","system":"http://unitsofmeasure.org","code":"kg"}}"""


def token_of(page: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found
    return found[1]


def search(client: httpx.Client, rtype: str, *pairs: tuple[str, str], **options: str) -> httpx.Response:
    """Post the form as a browser does."""
    token = token_of(client.get(f"/browse?type={rtype}").text)
    names, values = [name for name, _ in pairs], [value for _, value in pairs]
    return client.post(
        "/browse", data={"csrf": token, "type": rtype, "name": names, "value": values, **options}
    )


def rows(page: str) -> list[str]:
    return re.findall(r'<tr data-row="([A-Z][^"]+)"', page)


@pytest.fixture
def known(served: Any) -> Any:
    """A patient and a weight."""
    served.flow.update("Patient", "p1", dumps(PATIENT), SOURCE)
    served.flow.update("Observation", "w1", WEIGHT, SOURCE)
    return served


def test_a_search_finds_by_any_parameter_and_keeps_the_values_out_of_the_address(
    known: Any, signed_in: Callable[[str], httpx.Client]
) -> None:
    client = signed_in("integration")
    for pairs in (
        [("family", "okaf")],
        [("birthdate", "ge1980"), ("gender", "female")],
        [("_has:Observation:subject:status", "final")],
        [("", ""), ("name:contains", "kafo")],
    ):
        answer = search(client, "Patient", *pairs)
        assert rows(answer.text) == ["Patient/p1"], pairs
        assert str(answer.url).endswith("/browse")
        assert "OKAFOR, Ada, female, 03-May-1980" in answer.text
    both = search(
        client, "Observation", ("subject:Patient.name", "okafor"), ("_include", "Observation:subject")
    )
    assert rows(both.text) == ["Observation/w1", "Patient/p1"]


@pytest.mark.parametrize(
    ("pairs", "status", "said"),
    [
        ([("shoe", "7")], 400, "not known for Patient"),
        ([("", "7")], 400, "without the name of a parameter"),
        ([("birthdate", "soon")], 400, "birthdate"),
        ([("name", "a"), ("_sort", "shoe")], 400, "cannot be sorted"),
    ],
)
def test_what_cannot_be_asked_is_refused_and_said(
    known: Any,
    signed_in: Callable[[str], httpx.Client],
    pairs: list[tuple[str, str]],
    status: int,
    said: str,
) -> None:
    answer = search(signed_in("nurse"), "Patient", *pairs)
    assert answer.status_code in {status, 422}
    assert said in html.unescape(answer.text)
    # What was typed still stands in the form.
    assert f'value="{pairs[0][1]}"' in answer.text


def test_paging_gives_every_match_once_with_the_cursor_in_the_body(
    served: Any, signed_in: Callable[[str], httpx.Client]
) -> None:
    for n in range(45):
        served.flow.update("Patient", f"n{n}", dumps(PATIENT | {"id": f"n{n}"}), SOURCE)
    client = signed_in("nurse")
    answer = search(client, "Patient", ("family", "okafor"), ("_sort", "family"), _total="accurate")
    assert "20 of 45 matches" in answer.text
    found = rows(answer.text)
    while cursor := re.search(r'name="_cursor" value="([^"]+)"', answer.text):
        answer = search(
            client, "Patient", ("family", "okafor"), ("_sort", "family"), _cursor=html.unescape(cursor[1])
        )
        found += rows(answer.text)
    assert sorted(found) == sorted(f"Patient/n{n}" for n in range(45))


def test_a_resource_is_shown_as_it_is_stored_with_its_references_as_links(
    known: Any, signed_in: Callable[[str], httpx.Client]
) -> None:
    page = signed_in("nurse").get("/browse/Observation/w1").text
    assert '<a href="/browse/Patient/p1">&#34;Patient/p1&#34;</a>' in page
    assert "70.500" in page
    # About a patient: the banner stands on top.
    assert 'aria-label="Patient"' in page
    assert "OKAFOR, Ada" in page


def test_who_points_here_is_counted_and_leads_to_the_search(
    known: Any, signed_in: Callable[[str], httpx.Client]
) -> None:
    client = signed_in("nurse")
    page = client.get("/browse/Patient/p1/from").text
    for parameter in ("subject", "patient"):
        assert f'aria-label="Show 1 Observation by {parameter}"' in page
    assert rows(search(client, "Observation", ("subject", "Patient/p1")).text) == ["Observation/w1"]
    assert "Nothing that your role may see" in client.get("/browse/Observation/w1/from").text


def test_history_tells_who_when_and_what_changed(
    known: Any, signed_in: Callable[[str], httpx.Client]
) -> None:
    known.flow.update("Patient", "p1", dumps(PATIENT | {"birthDate": "1980-03-05"}), SOURCE)
    client = signed_in("nurse")
    page = client.get("/browse/Patient/p1?version=2&against=1").text
    gone = re.findall(r'<div class="gone">(.*?)</div>', page)
    came = re.findall(r'<div class="came">(.*?)</div>', page)
    assert any("1980-05-03" in line for line in gone)
    assert any("1980-03-05" in line for line in came)
    assert not any("Okafor" in line for line in gone + came)
    assert re.findall(r"(created|updated) \d\d-", page) == ["updated", "created"]
    older = client.get("/browse/Patient/p1?version=1").text
    assert "This is not what holds now" in older
    assert client.get("/browse/Patient/p1?version=9").status_code == 404
    known.flow.delete("Patient", "p1", SOURCE)
    after = client.get("/browse/Patient/p1")
    assert after.status_code == 410
    assert "Its versions stand in the history" in after.text


def test_the_browser_shows_exactly_what_rest_shows_to_the_same_actor(
    known: Any, signed_in: Callable[[str], httpx.Client]
) -> None:
    known.flow.update("Patient", "p2", dumps(PATIENT | {"id": "p2"}), SOURCE)
    with known.database.connection() as connection:
        confine(connection, "account", "nurse", ["Patient/p1"], "test", datetime.now(UTC))
    client = signed_in("nurse")
    for path in ("Patient/p1", "Patient/p2", "Observation/w1", "Patient/none"):
        rest = client.get(f"/fhir/{path}", headers={"Accept": "application/fhir+json"})
        assert client.get(f"/browse/{path}").status_code == rest.status_code, path
        assert client.get(f"/browse/{path}/from").status_code == rest.status_code, path
    assert rows(search(client, "Patient", ("family", "okafor")).text) == ["Patient/p1"]
    assert signed_in("admin").get("/browse/Patient/p1").status_code == 403


def test_a_type_that_r4_does_not_know_is_refused(
    known: Any, signed_in: Callable[[str], httpx.Client]
) -> None:
    client = signed_in("nurse")
    assert client.get("/browse?type=Shoe").status_code == 404
    assert client.get("/browse/Shoe/1").status_code == 404


@pytest.mark.parametrize("rtype", sorted(resource_types()))
def test_every_hint_names_a_parameter_that_the_search_takes(rtype: str) -> None:
    for hint in hints(rtype):
        assert hint.written
        for code in hint.codes[:3]:
            parse(rtype, [(hint.name, code)], strict=True)


def test_who_may_point_at_a_patient_is_known_from_the_definitions() -> None:
    found = {(source, parameter.code) for source, parameter in pointing_at("Patient")}
    assert {("Observation", "subject"), ("Person", "patient"), ("Task", "subject")} <= found
    assert ("Observation", "encounter") not in found


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.decimals(allow_nan=False, allow_infinity=False, places=3)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=15,
)


@given(st.dictionaries(st.text(max_size=8), json_values, max_size=5))
def test_the_lines_are_the_resource_again_to_the_last_digit(body: dict[str, Any]) -> None:
    text = "\n".join(line.text for line in lines(body))
    assert loads(text.encode()) == loads(dumps(body))
    shown = "\n".join(html.unescape(re.sub(r"<[^>]+>", "", str(line.html))) for line in lines(body))
    assert shown == text


def test_a_decimal_keeps_its_zeros() -> None:
    assert [line.text for line in lines({"value": Decimal("70.500")})][1] == '  "value": 70.500'
    assert json.loads("\n".join(line.text for line in lines({"a": ['"', "\n", "é"]}))) == {
        "a": ['"', "\n", "é"]
    }


@given(
    st.dictionaries(st.text(max_size=4), json_values, max_size=3),
    st.dictionaries(st.text(max_size=4), json_values, max_size=3),
)
def test_a_comparison_is_empty_exactly_where_nothing_differs(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert compared(one, one) == []
    same = [line.text for line in lines(one)] == [line.text for line in lines(other)]
    assert (compared(one, other) == []) is same


CONCEPT = {"coding": [{"system": "urn:x", "code": "c"}], "text": "Said"}
OF_ANY_TYPE = {
    "name": st.sampled_from(["A name", [{"family": "Okafor"}], [{"text": "As text"}]]),
    "code": st.sampled_from([CONCEPT, "code", [CONCEPT]]),
    "type": st.sampled_from(
        [CONCEPT, [CONCEPT], "code", {"system": "urn:x", "code": "c"}, {"reference": "Patient/1"}]
    ),
    "category": st.sampled_from([CONCEPT, [CONCEPT], ["code"], "code"]),
    "status": st.sampled_from(["active", CONCEPT, [CONCEPT]]),
    "clinicalStatus": st.just(CONCEPT),
    "period": st.sampled_from([{"start": "2020"}, {}, [{"start": "2020"}]]),
    "date": st.sampled_from(["2020", "2020-01-01T00:00:00Z", [{"x": 1}]]),
    "title": st.sampled_from(["A title", [{"x": 1}]]),
    "description": st.sampled_from(["Words", CONCEPT]),
}
"""The same element name in types of R4 that spell it differently."""


@given(st.fixed_dictionaries({}, optional=OF_ANY_TYPE))
def test_a_resource_of_any_type_has_its_line(body: dict[str, Any]) -> None:
    line = says({"resourceType": "Basic", **body})
    assert isinstance(line, str)
    assert "{" not in line
