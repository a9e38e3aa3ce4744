"""What a conversion promises: identity, order, honesty about what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unify.hl7v2.conftest import Hospital

from careloom.fhir.resource import dumps
from careloom.store.event import Event
from careloom.store.ledger import Conversion
from careloom.unify.hl7v2.convert import to_resources

Hear = Callable[..., Conversion]


def adt(trigger: str, at: str = "202403011015", pid: str = "", *more: str) -> str:
    header = f"MSH|^~\\&|EHR|WEST|LOOM|WEST|{at}||ADT^{trigger}|M{trigger}|P|2.5.1"
    person = pid or "PID|1||100^^^EHR^MR||Whitfield^Rosalind^Anne||19580412|F"
    return "\n".join([header, f"EVN|{trigger}|{at}", person, *more])


VISIT = "PV1|1|I|W3^R2^B4^WEST" + "|" * 16 + "V88^^^EHR^VN"


def test_the_same_message_again_gives_equal_bytes(hospital: Hospital) -> None:
    message = adt("A01", "202403011015", "", VISIT, "AL1|1|DA|7980^Penicillin^RXNORM|SV|Rash")
    first = [dumps(stated.resource) for stated in hospital.hear(message).stated]
    assert [dumps(stated.resource) for stated in hospital.hear(message).stated] == first


def test_ids_follow_the_source_and_the_assigner(hear: Hear) -> None:
    def patient(message: str, source: str = "ehr") -> str:
        return next(
            s.resource["id"] for s in hear(message, source).stated if s.resource["resourceType"] == "Patient"
        )

    one = adt("A08")
    assert patient(one) == patient(adt("A31"))
    assert patient(one) != patient(one, "lab")
    assert patient(one) != patient(one.replace("^^^EHR", "^^^LAB"))
    assert patient(one) == patient(one.replace("100^^^EHR^MR", "9^^^NHS^NH~100^^^EHR^MR"))


def test_an_adt_states_the_patient_whole_and_an_oru_in_part(hear: Hear) -> None:
    extents = {
        s.resource["resourceType"]: s.extent for s in hear(adt("A01", "202403011015", "", VISIT)).stated
    }
    assert (extents["Patient"], extents["Encounter"], extents["Location"]) == ("whole", "whole", "partial")
    result = adt("A01", "202403011015", "", VISIT, "OBR|1||F1|1^Test|||20240301", "OBX|1|NM|1^Test||5|||||F")
    extents = {
        s.resource["resourceType"]: s.extent for s in hear(result.replace("ADT^A01", "ORU^R01")).stated
    }
    assert (extents["Patient"], extents["Encounter"], extents["Observation"]) == (
        "partial",
        "partial",
        "whole",
    )


def test_an_older_message_does_not_overwrite_newer_state(hospital: Hospital) -> None:
    hospital.hear(adt("A08", "202403011200", "PID|1||100^^^EHR^MR||Newer^Name"))
    late = hospital.hear(adt("A08", "202403011100", "PID|1||100^^^EHR^MR||Older^Name", "AL1|1|DA|1^Nuts^L"))
    assert hospital.one("Patient")["name"][0]["family"] == "Newer"
    assert hospital.one("AllergyIntolerance")["code"]["coding"][0]["display"] == "Nuts"
    fates = {line.where: (line.fate, line.target) for line in late.ledger}
    assert fates["PID-5[1].1"][0] == "kept_raw"
    assert fates["PID-5[1].1"][1].startswith("an older message")
    assert any(issue.severity == "information" for issue in late.issues)


def test_an_older_result_does_not_overwrite_a_correction(hospital: Hospital) -> None:
    def result(at: str, value: str, status: str) -> str:
        return (
            f"MSH|^~\\&|LAB|WEST|||{at}||ORU^R01|1|P|2.5\nPID|1||100\nOBR|1||F7|1^K|||20240301|||||||||||||||{at}|||{status}\n"
            f"OBX|1|NM|2823-3^Potassium^LN||{value}|mmol/L^^UCUM|3.5-5.1||||{status}|||20240301"
        )

    hospital.hear(result("202403011000", "6.9", "P"))
    hospital.hear(result("202403011200", "4.9", "C"))
    hospital.hear(result("202403011100", "6.8", "F"))
    observation = hospital.one("Observation")
    assert (str(observation["valueQuantity"]["value"]), observation["status"]) == ("4.9", "corrected")


def test_rows_with_equal_keys_stay_apart(hospital: Hospital) -> None:
    row = "OBX|1|NM|1^Test^L||{}|||||F|||20240301"
    hospital.hear(adt("A08", "202403011015", "", row.format(5), row.format(6)))
    assert sorted(str(r["valueQuantity"]["value"]) for r in hospital.all("Observation")) == ["5", "6"]


def test_times_without_an_offset_are_read_in_the_given_zone() -> None:
    away = Hospital(ZoneInfo("America/New_York"))
    away.hear(
        adt(
            "A01",
            "202403011015",
            "PID|1||100||A^B||1958041203",
            "PV1|1|I" + "|" * 17 + "V1" + "|" * 25 + "202407011015",
        )
    )
    assert away.one("Encounter")["period"]["start"] == "2024-07-01T10:15:00-04:00"
    patient = away.one("Patient")
    assert patient["birthDate"] == "1958-04-12"
    assert patient["_birthDate"]["extension"][0]["valueDateTime"] == "1958-04-12T03:00:00-05:00"


@pytest.mark.parametrize(
    ("dtm", "text"), [("1958", "1958"), ("195804", "1958-04"), ("19580412", "1958-04-12")]
)
def test_partial_dates_stay_partial(hospital: Hospital, dtm: str, text: str) -> None:
    hospital.hear(adt("A08", "202403011015", f"PID|1||100||A^B||{dtm}|F"))
    assert hospital.one("Patient")["birthDate"] == text


def test_what_is_no_date_is_rejected_and_said(hear: Hear) -> None:
    lines = {
        line.where: line for line in hear(adt("A08", "202403011015", "PID|1||100||A^B||19581301|F")).ledger
    }
    assert (lines["PID-7"].fate, lines["PID-7"].target) == ("rejected", "not a date")


def test_a_null_leaves_the_element_out(hospital: Hospital) -> None:
    hospital.hear(adt("A08", "202403011015", "PID|1||100||A^B||19580412|F|||1 Mill Lane||01632"))
    conversion = hospital.hear(adt("A08", "202403011115", 'PID|1||100||A^B||""|F|||""||""'))
    assert not {"birthDate", "address", "telecom"} & set(hospital.one("Patient"))
    assert [line.fate for line in conversion.ledger if line.where == "PID-7"] == ["kept_raw"]


@pytest.mark.parametrize(
    ("message", "where"),
    [
        ("no message", "MSH"),
        (adt("A01", "202403011015", "PID|1||||Doe^Jane"), "PID-3"),
        ("MSH|^~\\&|A|B|||20240301||ADT^A01|1|P|2.5\nPV1|1|I", "PID"),
        ("MSH|^~\\&|A|B|||20240301|||1|P|2.5\nPID|1||1", "MSH-9"),
        ("MSH|^~\\&|A|B|||20240301||SIU^S12|1|P|2.5\nPID|1||1", "MSH-9"),
        (adt("A43"), "MSH-9"),
        (adt("Z99"), "MSH-9"),
    ],
)
def test_what_cannot_be_read_is_quarantined_with_its_place(hear: Hear, message: str, where: str) -> None:
    conversion = hear(message)
    errors = [issue for issue in conversion.issues if issue.severity == "error"]
    assert [issue.expression for issue in errors] == [where]
    assert conversion.stated == ()
    assert "Doe" not in " ".join(issue.text for issue in conversion.issues)
    assert {line.fate for line in conversion.ledger} <= {"rejected"}


_SEGMENTS = st.sampled_from(
    ["PID", "PV1", "PV2", "OBX", "OBR", "ORC", "NK1", "AL1", "DG1", "IN1", "MRG", "SPM", "NTE", "ZZZ"]
)
_FIELD = st.text(st.sampled_from('ab1 ^~&\\|"-+.20240301YNM<>'), max_size=12)


@given(
    st.sampled_from(["ADT^A01", "ADT^A08", "ADT^A40", "ADT^A45", "ORU^R01"]),
    st.lists(st.tuples(_SEGMENTS, st.lists(_FIELD, max_size=30)), max_size=6),
)
@settings(max_examples=150, deadline=None)
def test_arbitrary_fields_raise_nothing_and_lose_nothing(
    kind: str, rows: list[tuple[str, list[str]]]
) -> None:
    lines = [f"{name}|{'|'.join(fields)}" for name, fields in rows]
    message = "\n".join([f"MSH|^~\\&|A|B|||20240301||{kind}|1|P|2.5", "PID|1||7^^^A&1.2&ISO^MR", *lines])
    hospital = Hospital()
    first = [dumps(stated.resource) for stated in hospital.hear(message).stated]
    assert [dumps(stated.resource) for stated in hospital.hear(message).stated] == first


@given(st.binary(max_size=120))
@settings(max_examples=100, deadline=None)
def test_arbitrary_bytes_raise_nothing(raw: bytes) -> None:
    event = Event(1, "ehr", "hl7v2", b"MSH|^~\\&|" + raw, "", datetime(2024, 1, 1, tzinfo=UTC), "received")
    conversion = to_resources(event, lambda _type, _id: None)
    assert conversion.stated or conversion.issues


@pytest.mark.parametrize(
    ("plan", "classes"),
    [
        ("P1^Gold", {"value": "P1", "name": "Gold"}),
        ("P1", {"value": "P1"}),
        ("^Gold", {"value": "Gold"}),
        ("^^L", None),
    ],
)
def test_a_plan_known_by_its_name_alone_is_a_class_with_a_value(plan: str, classes: Any):
    hospital = Hospital()
    hospital.hear(
        f"MSH|^~\\&|A|B|||20240301||ADT^A01|1|P|2.5\nPID|1||7^^^A\nPV1|1|I\nIN1|1|{plan}|9^^^X|Payor"
    )
    found = hospital.one("Coverage").get("class", [None])
    assert [each and {k: v for k, v in each.items() if k != "type"} for each in found] == [classes]
    assert all(each is None or each["type"]["coding"][0]["code"] == "plan" for each in found)
