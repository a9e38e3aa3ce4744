"""An arrival is kept whatever it is; what it states is committed once; what is bad stands in quarantine."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from careloom.fhir.facts import choices, resource_types
from careloom.fhir.resource import dumps
from careloom.flow import Flow
from careloom.flow.arrival import merged
from careloom.settings import Settings
from careloom.store import events
from careloom.store.actor import STATION, Actor
from careloom.store.database import Database
from careloom.store.event import Arrival
from careloom.store.ledger import Stated
from careloom.store.read import Reader

ENGINEER = Actor("ida", frozenset({"integration"}))
ADMISSION = (
    b"MSH|^~\\&|EHR|WEST|CARELOOM|HUB|20260301115900+0000||ADT^A01^ADT_A01|MSG-1|P|2.5\r"
    b"EVN|A01|20260301115900+0000\r"
    b"PID|1||4711^^^WEST^MR||Zyzzyva^Ada^Grace||19800101|F\r"
    b"PV1|1|I|WARD1^101^1^WEST||||||||||||||||V-1^^^WEST^VN|||||||||||||||||||||||||20260301113000+0000\r"
)


@pytest.fixture
def flow(database: Database, tmp_path) -> Flow:
    return Flow(database, Settings(home=tmp_path), lambda: datetime(2026, 3, 1, 12, tzinfo=UTC))


def count(flow: Flow, rtype: str) -> int:
    with flow.database.connection() as connection:
        return len(Reader(connection, STATION).find(rtype))


def test_an_admission_becomes_a_patient_and_an_encounter_that_lead_back_to_the_message(flow: Flow) -> None:
    receipt = flow.accept(Arrival("ehr", "hl7v2", ADMISSION, "MSG-1"))
    assert receipt.status == "done"
    with flow.database.connection() as connection:
        read = Reader(connection, STATION)
        (patient,) = read.find("Patient")
        assert read.stored("Patient", patient["id"]).event_id == receipt.event_id
        assert read.find("Encounter")[0]["subject"]["reference"] == f"Patient/{patient['id']}"
        assert events.event(connection, receipt.event_id, ENGINEER).body == ADMISSION


def test_a_resend_changes_nothing_and_is_answered_like_the_first(flow: Flow) -> None:
    first = flow.accept(Arrival("ehr", "hl7v2", ADMISSION, "MSG-1"))
    again = flow.accept(Arrival("ehr", "hl7v2", ADMISSION, "MSG-1"))
    assert again.is_duplicate
    assert (again.event_id, again.status) == (first.event_id, first.status)
    assert count(flow, "Patient") == 1


def test_a_malformed_message_is_kept_in_quarantine_with_a_reason_and_states_nothing(flow: Flow) -> None:
    receipt = flow.accept(Arrival("ehr", "hl7v2", b"PID|no header", "bad"))
    assert receipt.status == "quarantined"
    assert receipt.issues[0].text
    assert count(flow, "Patient") == 0
    with flow.database.connection() as connection:
        assert events.event(connection, receipt.event_id, ENGINEER).status == "quarantined"


def test_a_message_whose_map_finds_an_error_keeps_its_ledger_in_quarantine(flow: Flow) -> None:
    nobody = ADMISSION.replace(b"4711^^^WEST^MR", b"")
    receipt = flow.accept(Arrival("ehr", "hl7v2", nobody, "MSG-1"))
    assert receipt.status == "quarantined"
    assert any(issue.is_error for issue in receipt.issues)
    with flow.database.connection() as connection:
        fates = {line.where: line.fate for line in events.ledger(connection, receipt.event_id, ENGINEER)}
    assert any(where.startswith("PID-5") for where in fates)
    assert count(flow, "Patient") == 0


def test_a_message_of_an_unknown_kind_is_kept(flow: Flow) -> None:
    assert flow.accept(Arrival("lab", "smoke-signal", b"puff", "1")).status == "quarantined"


def test_a_message_is_driven_again_by_who_may(flow: Flow) -> None:
    receipt = flow.accept(Arrival("ehr", "hl7v2", ADMISSION, "MSG-1"))
    assert flow.drive(receipt.event_id, ENGINEER).status == "done"
    with pytest.raises(Exception, match="may not drive"):
        flow.drive(receipt.event_id, Actor("nora", frozenset({"nurse"})))


def test_a_file_that_is_loaded_twice_writes_once(flow: Flow) -> None:
    patient = {"resourceType": "Patient", "gender": "male"}
    body = dumps({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient}]})
    assert flow.accept(Arrival("files", "fhir", body, "hash")).resources == 1
    assert flow.accept(Arrival("files", "fhir", body, "hash")).is_duplicate
    assert count(flow, "Patient") == 1


def test_a_loaded_transaction_patches_and_deletes_and_a_collection_merely_holds(flow: Flow) -> None:
    for name in ("a", "b"):
        flow.accept(
            Arrival("files", "fhir", dumps({"resourceType": "Patient", "id": name, "gender": "male"}), name)
        )
    by_path = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [
        {"name": "type", "valueCode": "delete"}, {"name": "path", "valueString": "Patient.gender"},
    ]}]}  # fmt: skip
    entries = [
        {"request": {"method": "DELETE", "url": "Patient/a"}},
        {"resource": by_path, "request": {"method": "PATCH", "url": "Patient/b"}},
    ]
    bundle = {"resourceType": "Bundle", "entry": entries}
    assert flow.accept(Arrival("files", "fhir", dumps(bundle | {"type": "transaction"}), "t")).resources == 2
    with flow.database.connection() as connection:
        read = Reader(connection, STATION)
        assert read.resource("Patient", "a") is None
        assert "gender" not in (read.resource("Patient", "b") or {"gender": ""})
        assert read.find("Parameters") == []
    again = flow.accept(Arrival("files", "fhir", dumps(bundle | {"type": "batch"}), "b"))
    assert (again.status, again.resources) == ("done", 0)
    wrong = {"request": {"method": "DELETE", "url": "nothing"}}
    receipt = flow.accept(Arrival("files", "fhir", dumps(bundle | {"type": "batch", "entry": [wrong]}), "w"))
    assert receipt.status == "quarantined"
    flow.accept(Arrival("files", "fhir", dumps({"resourceType": "Patient", "id": "c"}), "c"))
    held = {"request": {"method": "DELETE", "url": "Patient/c"}}
    flow.accept(Arrival("files", "fhir", dumps(bundle | {"type": "history", "entry": [held]}), "h"))
    with flow.database.connection() as connection:
        assert Reader(connection, STATION).resource("Patient", "c")


def test_no_line_of_the_log_holds_a_name(flow: Flow, capsys: pytest.CaptureFixture[str]) -> None:
    flow.accept(Arrival("ehr", "hl7v2", ADMISSION, "MSG-1"))
    flow.accept(Arrival("ehr", "hl7v2", ADMISSION.replace(b"19800101", b"not a date"), "MSG-2"))
    captured = capsys.readouterr()
    assert "zyzzyva" not in (captured.out + captured.err).lower()


@pytest.mark.parametrize("rtype", sorted(name for name in resource_types() if choices(name)))
def test_a_mention_never_gives_a_known_choice_element_a_second_type(rtype: str) -> None:
    for key, choice in choices(rtype).items():
        others = [other for other, of in choices(rtype).items() if of == choice and other != key]
        for held in (key, f"_{key}"):
            known = {"resourceType": rtype, "id": "1", held: {}}
            said = {"resourceType": rtype, "id": "1", "language": "de", "_" + others[0]: {}}
            mention = Stated(said | {other: {} for other in others}, "partial")
            assert merged((mention,), lambda *_, known=known: known) == [known | {"language": "de"}]


def test_a_mention_fills_the_other_half_of_a_choice_that_is_known() -> None:
    known = {"resourceType": "Patient", "id": "1", "deceasedDateTime": "2026-03-01"}
    mention = Stated({"resourceType": "Patient", "id": "1", "_deceasedDateTime": {"id": "a"}}, "partial")
    assert merged((mention,), lambda *_: known) == [known | {"_deceasedDateTime": {"id": "a"}}]
