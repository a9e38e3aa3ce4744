from __future__ import annotations

import random
from pathlib import Path

import pytest
from tests.lake.conftest import Shore, observation, patient

from careloom.fhir.outcome import OutcomeError
from careloom.fhir.resource import dumps
from careloom.flow import Flow
from careloom.lake.lineage import Cell, lineage
from careloom.settings import Settings
from careloom.store.actor import STATION
from careloom.store.event import Arrival
from careloom.verify.messages import messages


@pytest.fixture
def told(shore: Shore, tmp_path: Path) -> Shore:
    """A hospital's messages and a bundle, in the lake."""
    flow = Flow(shore.database, Settings(home=tmp_path))
    for number, body in enumerate(messages(8, 1)):
        flow.accept(Arrival("his", "hl7v2", body, key=f"m{number}"))
    entries = [
        {"fullUrl": f"urn:uuid:{n}", "resource": one | {"id": None}, "request": {"method": "POST", "url": one["resourceType"]}}
        for n, one in enumerate((patient("x", "Bundle"), observation("y", 12.5)))
    ]  # fmt: skip
    for entry in entries:
        del entry["resource"]["id"]
    entries[1]["resource"]["subject"] = {"reference": "urn:uuid:0"}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    assert flow.accept(Arrival("clinic", "fhir", dumps(bundle), key="b")).status == "done"
    shore.build()
    return shore


def trace(shore: Shore, rtype: str, id_: str, path: str):
    return lineage(shore.database, shore.lake, STATION, Cell(rtype, id_, path))


def test_a_cell_of_a_message_names_its_field(told: Shore) -> None:
    ((id_,),) = told.ask(
        """select id from "Patient" where name[1].family is not null and agent like 'hl7v2%' limit 1"""
    )
    found = trace(told, "Patient", id_, "name[0].family")
    assert (found.kind, found.source, found.fields) == ("hl7v2", "his", ("PID-5[1].1",))
    assert trace(told, "Patient", id_, "birthDate").fields == ("PID-7",)


def test_a_cell_that_an_earlier_message_stated_leads_to_that_message(told: Shore) -> None:
    rows = told.ask('select id, version_id from "Patient" where version_id > 1')
    for id_, version in rows:
        found = trace(told, "Patient", id_, "gender")
        assert found.fields == ("PID-8",)
        assert found.stated <= version == found.version


def test_a_cell_of_a_bundle_names_the_entry(told: Shore) -> None:
    ((id_,),) = told.ask("""select id from "Observation" where valueQuantity.value = 12.5""")
    found = trace(told, "Observation", id_, "valueQuantity.value_text")
    assert found.fields == ("Bundle.entry[1].resource.valueQuantity.value",)


def test_random_cells_of_messages_open_a_field(told: Shore) -> None:
    chance = random.Random(5)
    cells = told.ask(
        "select id, unnest(['valueQuantity.value', 'code.coding[0].code', 'status']) from \"Observation\""
    )
    for id_, path in chance.sample(cells, 20):
        assert trace(told, "Observation", id_, path).fields


@pytest.mark.parametrize(
    ("path", "said"), [("deceasedBoolean", "empty"), ("a b", "path such as"), ("x..y", "path such as")]
)
def test_a_cell_that_is_not_there_is_refused(told: Shore, path: str, said: str) -> None:
    ((id_,),) = told.ask('select id from "Patient" limit 1')
    with pytest.raises(OutcomeError, match=said):
        trace(told, "Patient", id_, path)
    with pytest.raises(OutcomeError, match="no current row"):
        trace(told, "Patient", "nobody", "birthDate")
