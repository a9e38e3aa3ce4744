"""Merges that the sender itself decides (A40 and its kin)."""

from __future__ import annotations

from tests.unify.hl7v2.conftest import Hospital

from careloom.fhir.resource import dumps

HEAD = "MSH|^~\\&|EHR|WEST|||{at}||ADT^{trigger}|1|P|2.5\nEVN|{trigger}|{at}\n"


def message(trigger: str, at: str, *rows: str) -> str:
    return HEAD.format(trigger=trigger, at=at) + "\n".join(rows)


def patients(hospital: Hospital) -> dict[str, dict[str, object]]:
    return {patient["identifier"][0]["value"]: patient for patient in hospital.all("Patient")}


def test_a_merge_links_survivor_and_merged(hospital: Hospital) -> None:
    hospital.hear(
        message("A28", "20240301", "PID|1||100^^^EHR||Whitfield^Rosalind||19580412|F|||1 Mill Lane")
    )
    hospital.hear(message("A28", "20240302", "PID|1||200^^^EHR||Whitfield^Rose||19580412|F"))
    merge = message("A40", "20240303", "PID|1||100^^^EHR||Whitfield^Rosalind", "MRG|200^^^EHR")
    hospital.hear(merge)
    kept, gone = patients(hospital)["100"], patients(hospital)["200"]
    assert kept["link"] == [{"other": {"reference": f"Patient/{gone['id']}"}, "type": "replaces"}]
    assert gone["link"] == [{"other": {"reference": f"Patient/{kept['id']}"}, "type": "replaced-by"}]
    assert gone["active"] is False
    assert kept["birthDate"] == "1958-04-12", "a merge does not take away what it does not speak of"
    assert gone["name"][0]["given"] == ["Rose"]
    once = sorted(dumps(patient) for patient in hospital.all("Patient"))
    hospital.hear(merge)
    assert sorted(dumps(patient) for patient in hospital.all("Patient")) == once


def test_later_updates_keep_the_links(hospital: Hospital) -> None:
    hospital.hear(message("A40", "20240303", "PID|1||100^^^EHR||Whitfield^Rosalind", "MRG|200^^^EHR"))
    hospital.hear(message("A08", "20240304", "PID|1||100^^^EHR||Whitfield^Rosalind||19580412|F"))
    hospital.hear(message("A08", "20240304", "PID|1||200^^^EHR||Whitfield^Rose"))
    kept, gone = patients(hospital)["100"], patients(hospital)["200"]
    assert kept["link"][0]["type"] == "replaces"
    assert (gone["link"][0]["type"], gone["active"]) == ("replaced-by", False)


def test_several_merges_of_one_survivor_in_one_message(hospital: Hospital) -> None:
    person = "PID|1||100^^^EHR||Whitfield^Rosalind"
    hospital.hear(message("A40", "20240303", person, "MRG|200^^^EHR", person, "MRG|300^^^EHR"))
    kept = patients(hospital)["100"]
    assert [link["type"] for link in kept["link"]] == ["replaces", "replaces"]
    assert len(hospital.all("Patient")) == 3


def test_a_moved_visit_goes_over_to_the_other_patient(hospital: Hospital) -> None:
    visit = "PV1|1|I" + "|" * 17 + "V5^^^EHR"
    hospital.hear(message("A01", "20240301", "PID|1||200^^^EHR||Wrong^Person", visit))
    hospital.hear(
        message("A45", "20240302", "PID|1||100^^^EHR||Right^Person", "MRG|200^^^EHR||||V5^^^EHR", visit)
    )
    encounter = hospital.one("Encounter")
    assert encounter["subject"]["reference"] == f"Patient/{patients(hospital)['100']['id']}"
    assert patients(hospital)["200"].get("active") is not False


def test_a_changed_visit_number_leaves_one_visit(hospital: Hospital) -> None:
    person = "PID|1||100^^^EHR||Whitfield^Rosalind"
    hospital.hear(message("A01", "20240301", person, "PV1|1|I" + "|" * 17 + "V5^^^EHR"))
    hospital.hear(
        message("A50", "20240302", person, "MRG|100^^^EHR||||V5^^^EHR", "PV1|1|I" + "|" * 17 + "V6^^^EHR")
    )
    status = {visit["identifier"][0]["value"]: visit["status"] for visit in hospital.all("Encounter")}
    assert status["V5"] == "entered-in-error"
    assert status["V6"] != "entered-in-error"


def test_a_merged_account_is_inactive_and_part_of_the_other(hospital: Hospital) -> None:
    hospital.hear(
        message("A41", "20240301", "PID|1||100^^^EHR|||||||||||||||A1^^^EHR", "MRG|100^^^EHR||A2^^^EHR")
    )
    accounts = {account["identifier"][0]["value"]: account for account in hospital.all("Account")}
    assert accounts["A2"]["status"] == "inactive"
    assert accounts["A2"]["partOf"]["reference"] == f"Account/{accounts['A1']['id']}"


def test_a_deleted_person_is_not_active(hospital: Hospital) -> None:
    hospital.hear(message("A28", "20240301", "PID|1||100^^^EHR||Whitfield^Rosalind||19580412"))
    hospital.hear(message("A29", "20240302", "PID|1||100^^^EHR"))
    patient = hospital.one("Patient")
    assert (patient["active"], patient["birthDate"]) == (False, "1958-04-12")
