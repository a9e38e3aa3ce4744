"""What US Core asks for is read from its metadata, and a server that does not do it is seen."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from tests.waiting import WAIT_S

from careloom.fhir.resource import dumps
from careloom.settings import settings_from
from careloom.verify import us_core
from careloom.verify.us_core_suite import SUITE, Group, Parameter, groups, shows, values

PATIENT = {"resourceType": "Patient", "id": "7", "gender": "female", "birthDate": "1970-02-03"}
GENDER, BORN = (
    Parameter("gender", ("gender",), (), True),
    Parameter("birthdate", ("birthDate",), ("gt", "le"), False),
)
RACE = Parameter("race", ("race",), (), False)
GROUP = Group("patient", "Patient", "urn:p", ((GENDER, BORN), (RACE,)), ("gender", "name"), (), (), (), ())


def test_the_metadata_names_every_profile_and_search() -> None:
    suite = settings_from().conformance / SUITE
    if not suite.exists():
        pytest.skip(f"{SUITE} is absent")
    found = groups(suite)
    assert len(found) == 48
    assert sum(len(group.searches) for group in found) == 117
    assert sum(len(group.elements) for group in found) == 516


def test_a_search_is_made_of_what_a_resource_holds() -> None:
    assert us_core._asked(PATIENT, GENDER) == "female"
    assert us_core._asked(PATIENT, RACE) == ""
    codes = {"code": {"coding": [{"system": "urn:s", "code": "c"}]}, "subject": {"reference": "Patient/7"}}
    assert us_core._asked(codes, Parameter("code", ("code",), (), False)) == "urn:s|c"
    assert us_core._asked(codes, Parameter("patient", ("subject",), (), False)) == "7"
    assert us_core._compared("gt", "1970-02-03") == "gt1970-02-02T00:00:00.000Z"


def test_a_slice_is_known_by_what_tells_it_apart() -> None:
    observation = {
        "category": [{"coding": [{"system": "urn:c", "code": "vital-signs"}]}],
        "valueQuantity": {"value": 1},
    }
    by_type = {"path": "value[x]", "discriminator": {"type": "type", "code": "Quantity"}}
    assert shows(observation, by_type)
    assert not shows(observation, by_type | {"discriminator": {"type": "type", "code": "String"}})
    by_value = [{"path": "coding.code", "value": "vital-signs"}, {"path": "coding.system", "value": "urn:c"}]
    assert shows(observation, {"path": "category", "discriminator": {"type": "value", "values": by_value}})
    pattern = {"type": "patternCodeableConcept", "path": "", "code": "other", "system": "urn:c"}
    assert not shows(observation, {"path": "category", "discriminator": pattern})
    assert values(observation, "category:VSCat.coding.code") == ["vital-signs"]


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_search_that_does_not_find_its_resource_is_counted(is_lost: bool) -> None:
    with forgetful(is_lost=is_lost) as url, httpx.Client(base_url=url, timeout=WAIT_S) as client:
        assert us_core.searched(client, GROUP, [PATIENT]) == [not is_lost, None]
        assert us_core.shown_of(client, GROUP, [PATIENT]) == [True, None]


@contextmanager
def forgetful(*, is_lost: bool) -> Iterator[str]:
    """A FHIR server of one Patient, which it reads, and which its searches find or lose; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            entries = [] if is_lost else [{"resource": PATIENT, "search": {"mode": "match"}}]
            answer = PATIENT if self.path == "/Patient/7" else {"resourceType": "Bundle", "entry": entries}
            body = dumps(answer)
            self.send_response(200)
            self.send_header("Content-Type", "application/fhir+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Nothing is said of it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_server_of_the_check_stores_and_finds(tmp_path: Path) -> None:
    from careloom.verify.scratch import scratch_home

    with scratch_home("us-core-test") as home, us_core.serving(home) as client:
        assert us_core._stored(client, [PATIENT]) == 0
        assert us_core.searched(client, GROUP, [PATIENT]) == [True, None]
        assert us_core.shown_of(client, GROUP, [PATIENT]) == [True, None]
