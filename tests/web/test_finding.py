"""Who is found by what somebody types: by parts that several sources know, in spite of slips, and by either way to write a date."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import httpx

from careloom.fhir.resource import dumps
from careloom.registry import STATIONS
from careloom.store.event import Arrival


def told(served: Any, source: str, **patient: Any) -> None:
    """A source says who somebody is, and every station hears it."""
    resource = {
        "resourceType": "Patient",
        "gender": "female",
        "address": [HOME],
        "telecom": [PHONE],
    } | patient
    entry = {"resource": resource, "request": {"method": "PUT", "url": f"Patient/{patient['id']}"}}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    receipt = served.flow.accept(Arrival(source, "fhir", dumps(bundle)))
    assert receipt.status == "done", receipt
    while any(served.flow.run_station(name) for name in STATIONS):
        pass


HOME = {"line": ["14 Selvedge Avenue"], "city": "Loomford", "postalCode": "62701"}
PHONE = {"system": "phone", "value": "555-0142"}
AWAY = {"line": ["3 Mill Lane"], "city": "Farton", "postalCode": "90210"}
OTHER = {"system": "phone", "value": "555-0991"}


def named(family: str, *given: str) -> list[dict[str, Any]]:
    return [{"family": family, "given": list(given)}]


def found(client: httpx.Client, asked: str) -> tuple[str, list[str]]:
    """What the page says, and the names on it."""
    form = re.search(r'name="csrf" value="([^"]+)"', client.get("/patients").text)
    assert form
    page = client.post("/patients", data={"csrf": form[1], "q": asked}, headers={"HX-Request": "true"}).text
    said = re.search(r'<p class="muted small">([^<]+)</p>', page)
    assert said
    return said[1], [
        html.unescape(name) for name in re.findall(r'<a href="/patients/[^"]+">([^<]+)</a>', page)
    ]


def test_a_person_is_found_by_all_records_together_and_in_spite_of_slips(
    served: Any, signed_in: Callable[[str], httpx.Client]
) -> None:
    told(served, "ehr", id="e1", name=named("Whitfield", "Rosalind"), birthDate="1958-04-07")
    told(served, "lab", id="l1", name=named("Whitfield", "Rosalind", "Grace"), birthDate="1958-07-04")
    told(
        served,
        "ehr",
        id="e2",
        name=named("Brennan", "Søren"),
        birthDate="1971-12-25",
        telecom=[OTHER],
        address=[AWAY],
    )
    client = signed_in("nurse")
    rosalind, soren = "WHITFIELD, Rosalind Grace", "BRENNAN, Søren"
    # The middle name stands in one record, the birth date in the other; and a date may be written either way.
    for asked in (
        "Whitfield, Rosalind Grace 1958-04-07",
        "grace 07-Apr-1958",
        "grace 7/4/1958",
        "grace 4.7.1958",
    ):
        assert found(client, asked) == ("Found: 1 person.", [rosalind]), asked
    for asked in ("whitfeild", "wihtfield", "Vhitfield", "Whitfeld Rosalnd", "whitfild 1958-04-07"):
        said, names = found(client, asked)
        assert (said.startswith("Nobody is spelled exactly so"), names) == (True, [rosalind]), asked
    assert found(client, "soren") == ("Nobody is spelled exactly so; spelled nearly so: 1 person.", [soren])
    # A birth date or a number is never guessed at, and three letters may be anybody.
    for asked in ("whitfeild 1958-04-08", "whitfeild 100037", "sor1n", "zzz", "31/31/1958"):
        assert found(client, asked)[1] == [], asked
