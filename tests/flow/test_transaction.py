"""A transaction is committed as a whole or not at all, and its references lead to what it made."""

from __future__ import annotations

import base64
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from careloom.fhir.bundle import Entry
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import dumps, loads
from careloom.flow import Flow
from careloom.settings import Settings
from careloom.store import events
from careloom.store.actor import Actor
from careloom.store.database import Connection, Database
from careloom.store.read import Reader

CLINIC = Actor("clinic", frozenset({"source"}))
ENGINEER = Actor("ida", frozenset({"integration"}))
PATIENT = {"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": "7"}], "gender": "female"}
WEIGHT = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
    "subject": {"reference": "urn:uuid:7c0a5f0e-5a0a-4c1e-9d55-0d6b1f0b8f11"},
}


@pytest.fixture
def flow(database: Database, tmp_path) -> Flow:
    return Flow(database, Settings(home=tmp_path), lambda: datetime(2026, 3, 1, 12, tzinfo=UTC))


def entry(resource: dict, method: str = "POST", url: str = "", full_url: str = "", **request: str) -> dict:
    made = {
        "resource": resource,
        "request": {"method": method, "url": url or resource["resourceType"], **request},
    }
    return made | ({"fullUrl": full_url} if full_url else {})


def bundle(*entries: dict, kind: str = "transaction") -> bytes:
    return dumps({"resourceType": "Bundle", "type": kind, "entry": list(entries)})


def places(answer: bytes) -> list[str]:
    return [entry["response"]["location"].split("/_history")[0] for entry in loads(answer)["entry"]]


def resource(flow: Flow, place: str) -> dict | None:
    with flow.database.connection() as connection:
        return Reader(connection, CLINIC).resource(*place.split("/"))


def test_a_reference_to_another_entry_leads_to_the_resource_that_it_became(flow: Flow) -> None:
    answer = flow.transact(
        bundle(entry(PATIENT, full_url="urn:uuid:7c0a5f0e-5a0a-4c1e-9d55-0d6b1f0b8f11"), entry(WEIGHT)),
        CLINIC,
    )
    patient, observation = places(answer)
    assert resource(flow, observation)["subject"]["reference"] == patient


def test_the_digits_of_a_decimal_are_kept(flow: Flow) -> None:
    raw = bundle(entry(WEIGHT | {"subject": {"display": "x"}})).replace(
        b'"status":"final"', b'"status":"final","valueQuantity":{"value":71.50,"unit":"kg"}'
    )
    (place,) = places(flow.transact(raw, CLINIC))
    with flow.database.connection() as connection:
        assert b'"value":71.50,' in Reader(connection, CLINIC).stored(*place.split("/")).body


def test_one_bad_entry_leaves_nothing_of_the_transaction_behind(flow: Flow) -> None:
    with pytest.raises(OutcomeError) as raised:
        flow.transact(bundle(entry(PATIENT), entry(WEIGHT | {"status": "no-such-status"})), CLINIC)
    assert raised.value.issues[0].expression == "Bundle.entry[1].resource.status"
    with flow.database.connection() as connection:
        assert Reader(connection, CLINIC).find("Patient") == []
        assert events.events(connection, ENGINEER) == []


def test_if_none_exist_creates_once(flow: Flow) -> None:
    one = bundle(entry(PATIENT, ifNoneExist="identifier=urn:x|7"))
    assert places(flow.transact(one, CLINIC)) == places(flow.transact(one, CLINIC))


def test_a_conditional_reference_is_resolved_and_one_that_matches_nothing_refuses_the_whole(
    flow: Flow,
) -> None:
    (patient,) = places(flow.transact(bundle(entry(PATIENT)), CLINIC))
    weight = WEIGHT | {"subject": {"reference": "Patient?identifier=urn:x|7"}}
    (observation,) = places(flow.transact(bundle(entry(weight)), CLINIC))
    assert resource(flow, observation)["subject"]["reference"] == patient
    with pytest.raises(OutcomeError, match="matches nothing"):
        flow.transact(
            bundle(entry(WEIGHT | {"subject": {"reference": "Patient?identifier=urn:x|8"}})), CLINIC
        )


def test_a_batch_answers_each_entry_by_itself(flow: Flow) -> None:
    answer = loads(
        flow.transact(bundle(entry(PATIENT | {"gender": "?"}), entry(PATIENT), kind="batch"), CLINIC)
    )
    assert [entry["response"]["status"] for entry in answer["entry"]] == ["422", "201 Created"]


def test_a_nurse_may_not_write_clinical_data(flow: Flow) -> None:
    with pytest.raises(OutcomeError, match="may not write a Patient"):
        flow.transact(bundle(entry(PATIENT)), Actor("nora", frozenset({"nurse"})))


def test_what_reads_is_answered_by_whoever_speaks_http_in_the_same_transaction(flow: Flow) -> None:
    patient = PATIENT | {"id": "seven"}
    get = {"request": {"method": "GET", "url": "Patient/seven"}}

    def answer(entry: Entry, connection: Connection) -> bytes:
        return dumps({"resource": Reader(connection, CLINIC).resource(*entry.url.split("/"))})

    told = loads(flow.transact(bundle(entry(patient, "PUT", "Patient/seven"), get), CLINIC, answer=answer))
    assert told["entry"][1]["resource"]["gender"] == "female"
    with pytest.raises(OutcomeError, match="neither a create"):
        flow.transact(bundle(get), CLINIC)


def test_an_event_too_large_for_a_row_is_kept_as_a_blob_by_every_way_in(flow: Flow) -> None:
    noise = base64.b64encode(random.Random(1).randbytes(events.INLINE_LIMIT * 2)).decode()
    binary = {"resourceType": "Binary", "contentType": "text/plain", "data": noise}
    flow.create("Binary", dumps(binary), CLINIC)
    flow.update("Binary", "large", dumps(binary | {"id": "large"}), CLINIC)
    flow.transact(bundle(entry(binary | {"language": "en"})), CLINIC)
    flow.transact(bundle(entry(binary | {"language": "de"}), kind="batch"), CLINIC)
    assert len(list(flow.blobs.names())) == 4


def test_two_entries_that_create_under_one_condition_are_one_resource(flow: Flow) -> None:
    twin = entry(PATIENT, ifNoneExist="identifier=urn:x|7")
    weight = WEIGHT | {"subject": {"reference": "urn:uuid:7c0a5f0e-5a0a-4c1e-9d55-0d6b1f0b8f11"}}
    second = twin | {"fullUrl": "urn:uuid:7c0a5f0e-5a0a-4c1e-9d55-0d6b1f0b8f11"}
    one, other, observation = places(flow.transact(bundle(twin, second, entry(weight)), CLINIC))
    assert one == other
    assert resource(flow, observation)["subject"]["reference"] == one


def test_of_two_who_create_under_one_condition_at_once_one_finds_what_the_other_made(flow: Flow) -> None:
    one = bundle(entry(PATIENT, ifNoneExist="identifier=urn:x|7"))
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda _: places(flow.transact(one, CLINIC))[0], range(12)))
    assert len(set(made)) == 1


def test_a_conditional_update_with_the_id_of_another_resource_is_refused(flow: Flow) -> None:
    flow.update("Patient", "seven", dumps(PATIENT | {"id": "seven"}), CLINIC)
    for body in (PATIENT | {"id": "eight"}, {"resourceType": "Patient", "id": "seven"}):
        condition = "Patient?identifier=urn:x|" + ("7" if body["id"] == "eight" else "none")
        with pytest.raises(OutcomeError):
            flow.transact(bundle(entry(body, "PUT", condition)), CLINIC)


def test_a_conditional_reference_may_lead_to_what_the_same_transaction_makes(flow: Flow) -> None:
    weight = WEIGHT | {"subject": {"reference": "Patient?identifier=urn:x|7"}}
    patient, observation = places(flow.transact(bundle(entry(PATIENT), entry(weight)), CLINIC))
    assert resource(flow, observation)["subject"]["reference"] == patient
    with pytest.raises(OutcomeError, match="matches several"):
        flow.transact(bundle(entry(PATIENT), entry(weight)), CLINIC)
    again = entry(PATIENT | {"id": patient.split("/")[1]}, "PUT", patient)
    assert places(flow.transact(bundle(again, entry(weight)), CLINIC))[0] == patient


def test_an_entry_of_a_batch_that_fails_on_our_side_leaves_the_others_their_answers_and_a_line(
    flow: Flow, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(entry: Entry, _connection: Connection) -> bytes:
        if entry.url == "Patient/slip":
            raise LookupError("Zyzzyva")
        raise OutcomeError(Issue("timeout", "Zyzzyva took too long."))

    gets = [{"request": {"method": "GET", "url": f"Patient/{name}"}} for name in ("slip", "slow")]
    told = loads(flow.transact(bundle(entry(PATIENT), *gets, kind="batch"), CLINIC, answer=answer))
    assert [one["response"]["status"][:3] for one in told["entry"]] == ["201", "500", "503"]
    lines = "".join(capsys.readouterr())
    assert "entry_failed" in lines
    assert "entry_not_served" in lines
    assert "zyzzyva" not in lines.lower()
