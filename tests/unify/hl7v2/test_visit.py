"""A stay in a hospital as ADT messages tell it."""

from __future__ import annotations

import pytest
from tests.unify.hl7v2.conftest import Hospital

from careloom.fhir.resource import dumps

PID = "PID|1||100^^^EHR^MR||Whitfield^Rosalind||19580412|F"


def event(trigger: str, at: str, place: str = "W1^R1^B1", admit: str = "202403010900", **more: str) -> str:
    fields = [""] * 46
    fields[1:3] = ["1", more.get("patient_class", "I")]
    fields[3], fields[6], fields[19], fields[44] = place, more.get("prior", ""), "V88^^^EHR", admit
    fields[45], fields[42] = more.get("discharge", ""), more.get("pending", "")
    header = f"MSH|^~\\&|EHR|WEST|||{at}||ADT^{trigger}|{trigger}{at}|P|2.5"
    return "\n".join([header, f"EVN|{trigger}|{at}", PID, "PV1|" + "|".join(fields[1:]).rstrip("|")])


def stays(hospital: Hospital) -> list[tuple[str, str, str, str]]:
    names = {f"Location/{place['id']}": place["name"] for place in hospital.all("Location")}
    return [
        (
            names[stay["location"]["reference"]],
            stay["status"],
            stay.get("period", {}).get("start", "")[11:16],
            stay.get("period", {}).get("end", "")[11:16],
        )
        for stay in hospital.one("Encounter")["location"]
    ]


def history(hospital: Hospital) -> list[tuple[str, str, str]]:
    return [
        (past["status"], past["period"].get("start", "")[11:16], past["period"]["end"][11:16])
        for past in hospital.one("Encounter").get("statusHistory", [])
    ]


def test_admit_transfer_and_discharge_leave_their_history(hospital: Hospital) -> None:
    hospital.hear(event("A01", "202403010900"))
    assert stays(hospital) == [("B1", "active", "09:00", "")]
    hospital.hear(event("A02", "202403011000", "W2^R1^B2", prior="W1^R1^B1"))
    assert stays(hospital) == [("B2", "active", "10:00", ""), ("B1", "completed", "09:00", "10:00")]
    hospital.hear(event("A03", "202403021200", "W2^R1^B2", discharge="202403021130"))
    encounter = hospital.one("Encounter")
    assert encounter["status"] == "finished"
    assert encounter["period"] == {"start": "2024-03-01T09:00:00+00:00", "end": "2024-03-02T11:30:00+00:00"}
    assert stays(hospital) == [("B2", "completed", "10:00", "11:30"), ("B1", "completed", "09:00", "10:00")]
    assert history(hospital) == [("in-progress", "09:00", "12:00")]


def test_a_discharge_without_its_time_ends_when_the_event_was_recorded(hospital: Hospital) -> None:
    hospital.hear(event("A01", "202403010900"))
    hospital.hear(event("A03", "202403021200"))
    assert hospital.one("Encounter")["period"]["end"] == "2024-03-02T12:00:00+00:00"


def test_a_cancelled_discharge_reopens_the_visit(hospital: Hospital) -> None:
    hospital.hear(event("A01", "202403010900"))
    hospital.hear(event("A03", "202403021200"))
    hospital.hear(event("A13", "202403021230"))
    encounter = hospital.one("Encounter")
    assert (encounter["status"], encounter["period"]) == (
        "in-progress",
        {"start": "2024-03-01T09:00:00+00:00"},
    )
    assert stays(hospital) == [("B1", "active", "09:00", "")]
    assert history(hospital) == [("in-progress", "09:00", "12:00"), ("finished", "12:00", "12:30")]


@pytest.mark.parametrize("said_again", ["", "01"])
def test_who_is_not_discharged_after_all_has_no_discharge_disposition(
    hospital: Hospital, said_again: str
) -> None:
    def hear(trigger: str, at: str, disposition: str) -> None:
        message = event(trigger, at)
        pv1 = next(line for line in message.split("\n") if line.startswith("PV1"))
        fields = pv1.split("|") + [""] * 50
        fields[14], fields[36], fields[37] = "7", disposition, disposition and "HOME"
        hospital.hear(message.replace(pv1, "|".join(fields).rstrip("|")))

    hear("A01", "202403010900", "")
    hear("A03", "202403021200", "01")
    assert "dischargeDisposition" in hospital.one("Encounter")["hospitalization"]
    hear("A13", "202403021230", said_again)
    assert set(hospital.one("Encounter")["hospitalization"]) == {"admitSource"}


def test_a_cancelled_admit_is_cancelled(hospital: Hospital) -> None:
    hospital.hear(event("A01", "202403010900"))
    hospital.hear(event("A11", "202403010910"))
    assert hospital.one("Encounter")["status"] == "cancelled"


def test_a_cancelled_transfer_never_was(hospital: Hospital) -> None:
    hospital.hear(event("A01", "202403010900"))
    hospital.hear(event("A02", "202403011000", "W2^R1^B2"))
    hospital.hear(event("A12", "202403011010", "W1^R1^B1"))
    assert stays(hospital) == [("B1", "active", "09:00", "")]


def test_a_pre_admit_is_planned_until_the_admit(hospital: Hospital) -> None:
    hospital.hear(event("A05", "202402200900", patient_class="P", admit=""))
    assert hospital.one("Encounter")["status"] == "planned"
    hospital.hear(event("A01", "202403010900"))
    assert hospital.one("Encounter")["status"] == "in-progress"
    assert stays(hospital) == [("B1", "active", "09:00", "")]
    assert [past["class"]["code"] for past in hospital.one("Encounter")["classHistory"]] == ["PRENC"]


def test_an_update_keeps_status_and_end(hospital: Hospital) -> None:
    hospital.hear(event("A01", "202403010900"))
    hospital.hear(event("A03", "202403021200"))
    hospital.hear(event("A08", "202403021300"))
    encounter = hospital.one("Encounter")
    assert (encounter["status"], encounter["period"]["end"]) == ("finished", "2024-03-02T12:00:00+00:00")


def test_an_outpatient_becomes_an_inpatient(hospital: Hospital) -> None:
    hospital.hear(event("A04", "202403010900", patient_class="E"))
    hospital.hear(event("A06", "202403011100", patient_class="I"))
    encounter = hospital.one("Encounter")
    assert (encounter["class"]["code"], encounter["classHistory"][0]["class"]["code"]) == ("IMP", "EMER")


@pytest.mark.parametrize("trigger", ["A01", "A02", "A03", "A05", "A08", "A11", "A12", "A13", "A14", "A16"])
def test_each_trigger_applied_twice_is_applied_once(hospital: Hospital, trigger: str) -> None:
    hospital.hear(event("A01", "202403010900", "W0^R1^B9"))
    hospital.hear(event("A02", "202403011000", "W1^R1^B1", prior="W0^R1^B9"))
    again = event(trigger, "202403011100", "W1^R2^B2", prior="W1^R1^B1", pending="W5^R1^B5")
    hospital.hear(again)
    once = dumps(hospital.one("Encounter"))
    hospital.hear(again)
    assert dumps(hospital.one("Encounter")) == once


def test_a_visit_without_a_number_is_known_by_patient_and_admit_time(hospital: Hospital) -> None:
    message = event("A01", "202403010900").replace("V88^^^EHR", "")
    hospital.hear(message)
    hospital.hear(message.replace("A01", "A08").replace("W1^R1^B1", "W1^R1^B7"))
    assert len(hospital.all("Encounter")) == 1
    hospital.hear(
        message.replace("202403010900\n", "202404010900\n").replace("|202403010900", "|202404010900")
    )
    assert len(hospital.all("Encounter")) == 2


def test_a_visit_that_nothing_names_is_said(hospital: Hospital) -> None:
    conversion = hospital.hear(event("A01", "202403010900", admit="").replace("V88^^^EHR", ""))
    assert [issue.expression for issue in conversion.issues] == ["PV1-19"]
