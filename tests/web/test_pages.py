"""What pages ask of the store, and what they must not pass over in silence; through HTTP on a real database."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import httpx
import psycopg
import pytest

from careloom.fhir.resource import dumps
from careloom.registry import STATIONS
from careloom.store import fetch
from careloom.store.event import Arrival
from careloom.web.vitals import Point, thinned

LOINC = "http://loinc.org"
AWAKE = {"coding": [{"system": "http://snomed.info/sct", "code": "248234008"}], "text": "Alert"}


def token_of(page: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found
    return found[1]


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], int]:
    """`statements(lambda: client.get(path))`: how many SQL statements the answer takes, at its best of three."""
    count = [0]

    def counting(plain: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*given: Any, **named: Any) -> Any:
            # The server's own listener and audit writer ask too, whenever they like; only who answers pages counts.
            count[0] += threading.current_thread().name.startswith("web")
            return plain(*given, **named)

        return counted

    # A statement goes out by a cursor of psycopg, or by store.fetch, which names each first.
    monkeypatch.setattr(psycopg.Connection, "execute", counting(psycopg.Connection.execute))
    monkeypatch.setattr(fetch, "_name", counting(fetch._name))

    def of(act: Callable[[], object]) -> int:
        act()
        found: list[int] = []
        # Where the machine is slow, what is remembered for a second is asked again in between.
        for _ in range(3):
            before = count[0]
            act()
            found.append(count[0] - before)
        return min(found)

    return of


def told(served: Any, *resources: dict[str, Any]) -> None:
    """A source says these resources, and every station hears them."""
    entries = [
        {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
        for one in resources
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    served.flow.accept(Arrival("ward", "fhir", dumps(bundle)))
    while any(served.flow.run_station(name) for name in STATIONS):
        pass


def patient(name: str) -> dict[str, Any]:
    """Somebody whom nobody takes for another: the letters and the birth date come from the name."""
    chance = Random(name)
    letters = chance.sample("abcdefghijklmnopqrstuvwxyz", 16)
    return {
        "resourceType": "Patient",
        "id": name,
        "name": [{"family": "".join(letters[:9]).title(), "given": ["".join(letters[9:]).title()]}],
        "birthDate": f"{chance.randint(1930, 2000)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}",
        "gender": chance.choice(["female", "male"]),
    }


def vital(name: str, code: str, value: float, unit: str, at: datetime) -> dict[str, Any]:
    quantity = {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}
    return observed(name, code, at) | {"valueQuantity": quantity}


def observed(name: str, code: str, at: datetime) -> dict[str, Any]:
    category = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}
    return {
        "resourceType": "Observation",
        "id": f"{name}-{code}-{at:%Y%m%d%H%M%S}",
        "status": "final",
        "category": [{"coding": [category]}],
        "code": {"coding": [{"system": LOINC, "code": code}]},
        "subject": {"reference": f"Patient/{name}"},
        "effectiveDateTime": at.isoformat(timespec="seconds"),
    }


def ill(name: str) -> list[dict[str, Any]]:
    at = datetime.now(UTC) - timedelta(minutes=5)
    signs = (
        ("9279-1", 26, "/min"),
        ("59408-5", 91, "%"),
        ("3151-8", 2, "L/min"),
        ("8480-6", 100, "mm[Hg]"),
        ("8867-4", 115, "/min"),
        ("8310-5", 38.5, "Cel"),
    )
    stay = {
        "resourceType": "Encounter",
        "id": f"{name}-stay",
        "status": "in-progress",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
        "subject": {"reference": f"Patient/{name}"},
        "location": [{"location": {"display": f"Ward 3 bed {name}"}}],
    }
    awake = observed(name, "80288-4", at) | {"valueCodeableConcept": AWAKE}
    return [patient(name), stay, *(vital(name, *sign, at) for sign in signs), awake]


def test_the_statements_of_a_page_are_counted(
    served: Any, signed_in: Callable[[str], httpx.Client], statements: Callable[..., int]
) -> None:
    told(served, patient("p1"))
    nurse = signed_in("nurse")
    # A session, the record, the banner, and a question for each list at least.
    assert statements(lambda: nurse.get("/patients/p1")) >= 10


def test_a_longer_worklist_asks_the_store_no_more_than_a_short_one(
    served: Any, signed_in: Callable[[str], httpx.Client], statements: Callable[..., int]
) -> None:
    nurse = signed_in("nurse")
    told(served, *ill("p1"), *ill("p2"))
    few = statements(lambda: nurse.get("/worklist"))
    told(served, *(one for n in range(3, 23) for one in ill(f"p{n}")))
    assert nurse.get("/worklist").text.count("<tr data-row") == 22
    assert statements(lambda: nurse.get("/worklist")) <= few <= 20


def test_a_longer_list_of_patients_asks_the_store_no_more_than_a_short_one(
    served: Any, signed_in: Callable[[str], httpx.Client], statements: Callable[..., int]
) -> None:
    nurse = signed_in("nurse")
    told(served, patient("p1"))
    few = statements(lambda: nurse.get("/patients"))
    told(served, *(patient(f"p{n}") for n in range(2, 30)))
    assert statements(lambda: nurse.get("/patients")) <= few <= 12


def test_the_worklist_says_where_the_patient_lies_when_it_was_measured_and_what_each_value_weighs(
    served: Any, signed_in: Callable[[str], httpx.Client]
) -> None:
    told(served, *ill("p1"))
    page = signed_in("nurse").get("/worklist").text
    assert "Ward 3 bed p1" in page
    assert re.search(
        r"Respiration rate <span class=\"worth\"><a [^>]+>26 /min</a> <span class=\"muted\">\+3</span>", page
    )
    assert re.search(r"measured \d\d-\w{3}-\d{4} \d\d:\d\d", page)


def test_no_task_is_out_of_reach_however_many_wait(
    served: Any, signed_in: Callable[[str], httpx.Client]
) -> None:
    told(served, *(one for n in range(45) for one in ill(f"p{n}")))
    nurse = signed_in("nurse")
    first = nurse.get("/worklist")
    assert "1 to 30 of 45 shown" in first.text
    second = nurse.get(re.search(r'href="([^"]+)">Next', first.text)[1].replace("&amp;", "&"))
    rows = re.findall(r'<tr data-row="([^"]+)"', first.text + second.text)
    assert len(rows) == len(set(rows)) == 45


def test_a_task_is_owned_by_a_person_and_not_by_an_account(
    served: Any, signed_in: Callable[[str], httpx.Client]
) -> None:
    told(served, *ill("p1"))
    nurse = signed_in("nurse")
    page = nurse.get("/worklist").text
    act = re.search(r'action="(/tasks/[^"]+/acknowledge)"', page)[1]
    after = nurse.post(act, data={"csrf": token_of(page), "next": "/worklist?show=mine"}).text
    assert re.search(r"<td>Amina Haddad[^<]*<br><span class=\"muted small\">Acknowledged", after)
    history = nurse.get(act.removesuffix("/acknowledge")).text
    assert re.search(r"Acknowledged\.</span><span class=\"small muted\">Amina Haddad", history)


def test_the_vitals_table_tells_consciousness(served: Any, signed_in: Callable[[str], httpx.Client]) -> None:
    told(served, *ill("p1"))
    page = signed_in("nurse").get("/patients/p1/vitals").text
    assert '<th scope="col" class="num">Consciousness</th>' in page
    assert re.search(r'<a class="val" href="/messages/[^"]+">Alert</a>', page)
    assert "Consciousness: latest Alert on" in page


def test_the_timeline_passes_nothing_over_where_one_kind_is_crowded(
    served: Any, signed_in: Callable[[str], httpx.Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    from careloom.web.pages import timeline

    monkeypatch.setattr(timeline, "LOOKED_AT", 10)
    begin = datetime(2026, 3, 1, 8, tzinfo=UTC)
    pulses = [vital("p1", "8867-4", 60 + n, "/min", begin + timedelta(minutes=n)) for n in range(35)]
    problem = {
        "resourceType": "Condition",
        "id": "c1",
        "subject": {"reference": "Patient/p1"},
        "code": {"text": "Old trouble"},
        "recordedDate": "2026-03-01T08:02:30Z",
    }
    told(served, patient("p1"), problem, *pulses)
    nurse = signed_in("nurse")
    lines: list[str] = []
    path = "/patients/p1/timeline"
    while path:
        page = nurse.get(path).text
        lines += re.findall(r'<li data-row="([^"]+)"', page)
        older = re.search(r'href="([^"]+)">Older', page)
        path = older[1].replace("&amp;", "&") if older else ""
    assert sorted(lines) == sorted(["Condition/c1", *(f"Observation/{one['id']}" for one in pulses)])


def test_every_result_is_reached_page_by_page_and_each_page_stays_small(
    served: Any, signed_in: Callable[[str], httpx.Client]
) -> None:
    begin = datetime(2025, 1, 1, tzinfo=UTC)
    results = [
        vital("p1", "2345-7", 80 + n, "mg/dL", begin + timedelta(days=n // 3))
        | {"id": f"r{n}", "category": []}
        for n in range(200)
    ]
    for one in results:
        del one["category"]
    told(served, patient("p1"), *results)
    nurse = signed_in("nurse")
    found: list[str] = []
    path = "/patients/p1/results"
    while path:
        page = nurse.get(path)
        assert len(page.content) < 100 * 1024
        rows = re.findall(r'<td class="num"><a class="val" href="[^"]*Observation/(r\d+)&amp;', page.text)
        found += [one for one in rows if one not in found]
        older = re.search(r'href="([^"]+)">Older', page.text)
        path = older[1].replace("&amp;", "&") if older else ""
    assert set(found) == {one["id"] for one in results}


def test_a_message_without_a_ledger_says_why(served: Any, signed_in: Callable[[str], httpx.Client]) -> None:
    told(served, patient("p1"))
    served.flow.accept(Arrival("ehr", "hl7v2", b"MSH|^~\\&|EHR\rnothing", "M1"))
    engineer = signed_in("integration")
    assert "each resource is kept as it came" in engineer.get("/messages/1").text
    assert "No ledger: the message was not mapped." in engineer.get("/messages/2").text
    assert ">None<" not in engineer.get("/messages/2").text


def test_a_message_in_xml_is_shown_as_it_came_and_one_that_is_no_resource_too(
    served: Any, signed_in: Callable[[str], httpx.Client]
) -> None:
    body = b"""<Patient xmlns="http://hl7.org/fhir"><!-- as it came --><id value="seven"/></Patient>"""
    for number, one in enumerate(
        (body, b'{"id":"x"}', b'{"resourceType":"Bundle","entry":[7,{"resource":[]}]}', b"[]")
    ):
        receipt = served.flow.accept(Arrival("ehr", "fhir", one, str(number)))
        page = signed_in("integration").get(f"/messages/{receipt.event_id}")
        assert page.status_code == 200
        if one == body:
            assert "&lt;!-- as it came --&gt;" in page.text
            assert "/fhir/Patient/seven" in page.text or "Patient/seven" in page.text


def test_a_long_ledger_is_told_whole_in_parts_and_opens_where_it_was_asked(
    served: Any, signed_in: Callable[[str], httpx.Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    from careloom.web.pages import message

    monkeypatch.setattr(message, "LINES", 10)
    body = (
        b"MSH|^~\\&|LAB|CITY|X|Y|20260101120000||ORU^R01^ORU_R01|M1|P|2.5.1\r"
        b"PID|1||L1^^^LAB^PI||OKAFOR^Ada||19800503|F\r"
        b"OBR|1||R-1|24323-8^Panel^LN|||20260101120000|||||||||||||||20260101120000|||F\r"
        b"OBX|1|NM|2823-3^Potassium^LN||5.9|mmol/L|3.5-5.1|H|||F|||20260101120000\r"
    )
    served.flow.accept(Arrival("lab", "hl7v2", body, "M1"))
    engineer = signed_in("integration")
    page = engineer.get("/messages/1").text
    said = re.search(r"lines 1 to 10 of (\d+)", page)
    lines: list[str] = []
    while True:
        lines += re.findall(r'<tr data-line data-where="([^"]+)"', page)
        further = re.search(r'href="([^"]+)">Further lines', page)
        if not further:
            break
        page = engineer.get(further[1].replace("&amp;", "&")).text
    assert len(lines) == int(said[1]) > 20
    resource = re.search(r"Observation/[0-9a-f-]{36}", page + engineer.get("/messages/1?from=20").text)[0]
    asked = engineer.get(f"/messages/1?resource={resource}&path=valueQuantity.value").text
    assert f'data-target="{resource}.valueQuantity.value"' in asked


def test_a_sender_s_key_is_sought_without_standing_in_an_address(
    served: Any, signed_in: Callable[[str], httpx.Client]
) -> None:
    told(served, patient("p1"))
    served.flow.accept(Arrival("ehr", "hl7v2", b"MSH|^~\\&|EHR\rnothing", "Hyatt-77"))
    engineer = signed_in("integration")
    page = engineer.get("/messages").text
    found = engineer.post("/messages", data={"csrf": token_of(page), "key": "hyatt"})
    assert re.findall(r'<tr data-row="(\d+)"', found.text) == ["2"]
    assert "hyatt" not in str(found.url).lower()
    assert 'hx-get="/messages' not in found.text


def test_thinning_keeps_the_ends_and_every_extreme_and_no_more_than_the_screen_has() -> None:
    begin = datetime(2020, 1, 1, tzinfo=UTC)
    values = [Decimal(60 + (n * 37) % 50) for n in range(5000)]
    values[1234], values[4321] = Decimal(200), Decimal(20)
    found = [Point("pulse", 0, begin + timedelta(hours=n), value, {}, "") for n, value in enumerate(values)]
    kept = thinned(found, 300)
    assert len(kept) <= 2 * 300 + 2
    assert (kept[0], kept[-1]) == (found[0], found[-1])
    assert found[1234] in kept
    assert found[4321] in kept
    assert [one.at for one in kept] == sorted(one.at for one in kept)


def test_a_page_of_vitals_says_since_when_it_tells_all(
    served: Any, signed_in: Callable[[str], httpx.Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    told(
        served,
        patient("p1"),
        *(vital("p1", "8867-4", 60, "/min", begin + timedelta(days=n)) for n in range(12)),
    )
    nurse = signed_in("nurse")
    assert "measurements are shown" not in nurse.get("/patients/p1/vitals?span=all").text
    monkeypatch.setattr("careloom.web.pages.vitals.MOST", 10)
    page = nurse.get("/patients/p1/vitals?span=all").text
    assert "The latest 10 measurements are shown, since 03-Jan-2026" in page


def test_what_a_person_is_said_to_take_and_where_they_lie_is_told_in_words(
    served: Any, signed_in: Callable[[str], httpx.Client]
) -> None:
    subject = {"reference": "Patient/p1"}
    taken = {
        "resourceType": "MedicationStatement",
        "id": "p1-metformin",
        "status": "active",
        "medicationCodeableConcept": {"text": "Metformin 500 mg"},
        "subject": subject,
        "effectivePeriod": {"start": "2024-02-03"},
        "dosage": [{"text": "one tablet twice a day"}],
    }
    ordered = {
        "resourceType": "MedicationRequest",
        "id": "p1-ramipril",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"text": "Ramipril 5 mg"},
        "subject": subject,
        "authoredOn": "2025-05-06",
    }
    lactate = observed("p1", "2524-7", datetime.now(UTC)) | {
        "category": [{"coding": [{"code": "laboratory"}]}],
        "code": {"coding": [{"system": LOINC, "code": "2524-7"}], "text": "Lactate [Moles/volume] in Blood"},
        "valueQuantity": {"value": Decimal("3.1"), "unit": "mmol/L"},
        "referenceRange": [{"text": "0.5-2"}],
    }
    told(served, *ill("p1"), taken, ordered, lactate)
    client = signed_in("physician")
    summary = client.get("/patients/p1").text
    medicines = summary.partition("<h2>Medicines</h2>")[2].partition("</section>")[0]
    assert [name in medicines for name in ("Metformin 500 mg", "Ramipril 5 mg")] == [True, True]
    assert "one tablet twice a day, as stated" in medicines
    assert re.search(r"Inpatient</a> <span[^>]*>Ward 3 bed p1, in progress<", summary)
    assert re.search(r'<span class="of">Lactate in Blood</span> <a [^>]+>3.1 mmol/L</a>', summary)
    timeline = client.get("/patients/p1/timeline?kind=medicine").text
    assert [name in timeline for name in ("Metformin 500 mg", "Ramipril 5 mg")] == [True, True]
    assert timeline.count('value="medicine"') == 1
    assert "0.5-2 mmol/L" in client.get("/patients/p1/results").text
