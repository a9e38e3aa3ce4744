"""Create, update, delete, and their conditional forms, over HTTP."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from tests.waiting import WAIT_S

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "identifier": [{"system": "urn:x", "value": "7"}],
    "gender": "female",
}
SEVEN = PATIENT | {"id": "seven"}


def made(client: httpx.Client, **more: Any) -> dict[str, Any]:
    answer = client.post("/Patient", json=PATIENT | more)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_create_says_where_the_resource_is_and_which_version_it_has(client: httpx.Client) -> None:
    answer = client.post("/Patient", json=PATIENT | {"id": "mine"})
    assert answer.status_code == 201
    id_ = answer.json()["id"]
    assert id_ != "mine"
    assert answer.headers["location"] == f"{client.base_url}Patient/{id_}/_history/1"
    assert answer.headers["etag"] == 'W/"1"'
    assert answer.headers["last-modified"].endswith("GMT")
    assert answer.json()["meta"]["versionId"] == "1"
    assert client.get(answer.headers["location"]).json() == answer.json()


def test_what_prefer_asks_for_comes_back(client: httpx.Client) -> None:
    for wanted, body in (
        ("minimal", ""),
        ("OperationOutcome", "OperationOutcome"),
        ("representation", "Patient"),
    ):
        answer = client.post("/Patient", json=PATIENT, headers={"prefer": f"return={wanted}"})
        assert answer.status_code == 201
        assert (answer.json()["resourceType"] if answer.content else "") == body
        assert answer.headers["location"]


def test_digits_order_and_unknown_extensions_survive_byte_for_byte(client: httpx.Client) -> None:
    raw = (
        b'{"valueQuantity":{"value":1.50,"extension":[{"url":"urn:e","valueDecimal":-0.00}]},"status":"final",'
        b'"resourceType":"Observation","code":{"text":"\xc3\xa9"},"extension":[{"url":"urn:x","valueDecimal":1.0E2}]}'
    )
    answer = client.post("/Observation", content=raw)
    kept = client.get(f"/Observation/{answer.json()['id']}").content
    assert raw.replace(b'"resourceType":"Observation",', b"")[1:] in kept


def test_an_update_creates_under_the_clients_id_and_then_makes_versions(client: httpx.Client) -> None:
    first = client.put("/Patient/seven", json=SEVEN)
    again = client.put("/Patient/seven", json=SEVEN)
    changed = client.put("/Patient/seven", json=SEVEN | {"gender": "male"})
    assert [first.status_code, again.status_code, changed.status_code] == [201, 200, 200]
    assert [one.headers["etag"] for one in (first, again, changed)] == ['W/"1"', 'W/"1"', 'W/"2"']


def test_an_update_of_a_version_that_is_no_longer_current_is_a_failed_precondition(
    client: httpx.Client,
) -> None:
    client.put("/Patient/seven", json=SEVEN)
    right = client.put("/Patient/seven", json=SEVEN | {"active": True}, headers={"if-match": 'W/"1"'})
    late = client.put("/Patient/seven", json=SEVEN | {"active": False}, headers={"if-match": 'W/"1"'})
    odd = client.put("/Patient/seven", json=SEVEN, headers={"if-match": "yesterday"})
    never = client.put("/Patient/none", json=SEVEN | {"id": "none"}, headers={"if-match": 'W/"1"'})
    assert [right.status_code, late.status_code, odd.status_code, never.status_code] == [200, 412, 400, 412]
    assert client.get("/Patient/seven").json()["active"] is True


def test_if_none_match_star_updates_nothing_that_stands(client: httpx.Client) -> None:
    new = {"if-none-match": "*"}
    assert client.put("/Patient/seven", json=SEVEN, headers=new).status_code == 201
    assert client.put("/Patient/seven", json=SEVEN, headers=new).status_code == 412


def test_the_id_and_the_type_of_body_and_address_must_agree(client: httpx.Client) -> None:
    for path, body in (("/Patient/eight", SEVEN), ("/Patient/seven", PATIENT), ("/Basic/seven", SEVEN)):
        answer = client.put(path, json=body)
        assert answer.status_code == 400
        assert answer.json()["issue"][0]["code"] == "invalid"
    assert client.post("/Basic", json=PATIENT).status_code == 400
    assert client.put("/Patient/a_b", json=PATIENT | {"id": "a_b"}).status_code == 400


def test_an_invalid_resource_is_refused_with_the_place_of_each_fault(client: httpx.Client) -> None:
    answer = client.post("/Patient", json={"resourceType": "Patient", "gender": "x", "nme": [], "active": 1})
    assert answer.status_code in {400, 422}
    places = {place for issue in answer.json()["issue"] for place in issue["expression"]}
    assert places == {"Patient.gender", "Patient.nme", "Patient.active"}


def test_a_body_that_is_no_json_or_missing_is_a_bad_request(client: httpx.Client) -> None:
    for body in (b"", b"{", b"[]", b"null", b'"x"', b"\xff", b'{"resourceType":7}'):
        answer = client.post("/Patient", content=body)
        assert answer.status_code == 400, body
        assert answer.json()["resourceType"] == "OperationOutcome"


def test_a_delete_is_told_by_410_and_the_resource_can_come_back(client: httpx.Client) -> None:
    client.put("/Patient/seven", json=SEVEN)
    gone = client.delete("/Patient/seven")
    assert (gone.status_code, gone.content, gone.headers["etag"]) == (204, b"", 'W/"2"')
    assert client.get("/Patient/seven").status_code == 410
    assert client.get("/Patient/seven/_history/2").status_code == 410
    assert client.get("/Patient/seven/_history/1").status_code == 200
    assert client.delete("/Patient/seven").status_code == 204
    assert client.delete("/Patient/never").status_code == 204
    back = client.put("/Patient/seven", json=SEVEN)
    assert (back.status_code, back.headers["etag"]) == (201, 'W/"3"')
    told = client.delete("/Patient/seven", headers={"prefer": "return=OperationOutcome"})
    assert told.json()["resourceType"] == "OperationOutcome"


def test_a_delete_of_another_version_is_a_failed_precondition(client: httpx.Client) -> None:
    client.put("/Patient/seven", json=SEVEN)
    assert client.delete("/Patient/seven", headers={"if-match": 'W/"2"'}).status_code == 412
    assert client.delete("/Patient/seven", headers={"if-match": 'W/"1"'}).status_code == 204


def test_a_conditional_create_makes_one_finds_one_or_refuses_several(client: httpx.Client) -> None:
    def create(condition: str) -> httpx.Response:
        return client.post("/Patient", json=PATIENT, headers={"if-none-exist": condition})

    first, again = create("identifier=urn:x|7"), create("identifier=urn:x|7")
    assert [first.status_code, again.status_code] == [201, 200]
    assert first.headers["location"] == again.headers["location"]
    made(client)
    assert create("identifier=urn:x|7").status_code == 412
    assert create("shoe=7").status_code == 400
    assert create("_count=7").status_code == 400


def test_of_many_conditional_creates_at_once_one_creates(client: httpx.Client) -> None:
    headers = {"if-none-exist": "identifier=urn:x|7"}
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: client.post("/Patient", json=PATIENT, headers=headers), range(12)))
    assert sorted(answer.status_code for answer in answers) == [200] * 11 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1


def test_a_conditional_update_creates_updates_or_refuses(client: httpx.Client) -> None:
    condition = {"identifier": "urn:x|7"}
    first = client.put("/Patient", params=condition, json=PATIENT)
    second = client.put("/Patient", params=condition, json=PATIENT | {"active": True})
    assert [first.status_code, second.status_code] == [201, 200]
    assert second.json()["id"] == first.json()["id"]
    assert second.json()["meta"]["versionId"] == "2"
    other = client.put("/Patient", params=condition, json=PATIENT | {"id": "other"})
    assert other.status_code == 400
    made(client)
    assert client.put("/Patient", params=condition, json=PATIENT).status_code == 412
    assert client.put("/Patient", json=PATIENT).status_code == 400


def test_a_conditional_update_that_finds_none_takes_the_clients_id_unless_it_stands(
    client: httpx.Client,
) -> None:
    nobody = {"identifier": "urn:x|nobody"}
    assert client.put("/Patient", params=nobody, json=SEVEN).json()["id"] == "seven"
    assert client.put("/Patient", params=nobody, json=SEVEN | {"active": True}).status_code == 412


def test_a_conditional_delete_removes_one_or_with_a_count_several(client: httpx.Client) -> None:
    condition = {"identifier": "urn:x|7"}
    assert client.delete("/Patient", params=condition).status_code == 204
    made(client)
    assert client.delete("/Patient", params=condition).status_code == 204
    assert client.get("/Patient", params=condition).json()["total"] == 0
    for _ in range(3):
        made(client)
    assert client.delete("/Patient", params=condition).status_code == 412
    assert client.delete("/Patient", params=condition | {"_count": "2"}).status_code == 204
    assert client.get("/Patient", params=condition).json()["total"] == 1
    assert client.delete("/Patient").status_code == 400


def test_writing_is_for_those_who_may(served: Any) -> None:
    from careloom.store.accounts import create_token

    with served.database.connection() as connection:
        token = create_token(connection, "reader", ["nurse"])
    with httpx.Client(
        base_url=f"{served.url}/fhir", headers={"authorization": f"Bearer {token}"}, timeout=WAIT_S
    ) as reader:
        assert reader.post("/Patient", json=PATIENT).status_code == 403
        assert reader.delete("/Patient/7").status_code == 403
        assert reader.put("/Patient", params={"identifier": "x"}, json=PATIENT).status_code == 403
        assert reader.get("/Patient").status_code == 200
