"""The server over real sockets and a real database: who gets in, who sees what, how a refusal is told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import Response
from structlog.testing import capture_logs
from tests.waiting import WAIT_S

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.settings import Settings
from careloom.store.accounts import DEMO_PASSWORD, create_token
from careloom.store.database import Database
from careloom.web.call import Call
from careloom.web.road import PUBLIC, Road
from careloom.web.routes import ROADS

HTML = {"accept": "text/html"}


def browser(served: Any) -> httpx.Client:
    return httpx.Client(base_url=served.url, headers=HTML, follow_redirects=False, timeout=WAIT_S)


def csrf(text: str) -> str:
    found = re.search(r'name="csrf" value="(\w+)"', text)
    assert found
    return found[1]


@contextmanager
def signed_in_client(served: Any, role: str) -> Iterator[httpx.Client]:
    with browser(served) as client:
        yield signed_in(client, role)


def signed_in(client: httpx.Client, role: str) -> httpx.Client:
    token = csrf(client.get("/sign-in").text)
    answer = client.post("/sign-in/demo", data={"csrf": token, "name": role})
    assert answer.status_code == 303
    return client


def test_a_stranger_is_sent_to_the_sign_in_page_and_back(served: Any) -> None:
    with browser(served) as client:
        answer = client.get("/worklist")
        assert answer.status_code == 303
        assert answer.headers["location"] == "/sign-in?next=%2Fworklist"
        door = client.get(answer.headers["location"])
        form = {"csrf": csrf(door.text), "name": "nurse", "password": DEMO_PASSWORD, "next": "/worklist"}
        entered = client.post("/sign-in", data=form)
        assert entered.headers["location"] == "/worklist"
        cookie = entered.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert client.get("/worklist").status_code == 200


def test_every_road_refuses_a_stranger_but_the_public_ones(served: Any) -> None:
    with httpx.Client(base_url=served.url, timeout=WAIT_S) as client:
        for road in ROADS:
            path = re.sub(r"\{[\w:]+\}", "Basic", road.path)
            answer = client.get(path)
            if "GET" not in road.methods:
                assert answer.status_code in {200, 303, 401, 403, 404, 405}, path
            elif road.right == "public":
                assert answer.status_code == 200, path
            else:
                assert answer.status_code == 401, path


def test_a_wrong_password_is_told_without_saying_which_was_wrong(served: Any) -> None:
    with browser(served) as client:
        token = csrf(client.get("/sign-in").text)
        told = [
            client.post("/sign-in", data={"csrf": token, "name": name, "password": "wrong"}).text
            for name in ("nurse", "nobody")
        ]
        errors = [re.search(r'role="alert">([^<]+)<', text) for text in told]
        assert errors[0]
        assert errors[1]
        assert errors[0][1] == errors[1][1]


def test_a_post_without_the_token_of_the_session_is_refused(served: Any) -> None:
    with signed_in_client(served, "nurse") as client:
        assert client.post("/sign-out").status_code == 403
        assert client.post("/patients", data={"q": "x", "csrf": "0" * 64}).status_code == 403
        assert client.get("/worklist").status_code == 200


def test_signing_out_ends_the_session(served: Any) -> None:
    with signed_in_client(served, "nurse") as client:
        kept = client.cookies["careloom_session"]
        client.post("/sign-out", data={"csrf": csrf(client.get("/worklist").text)})
        client.cookies.set("careloom_session", kept)
        assert client.get("/worklist").status_code == 303


@pytest.mark.parametrize(
    ("role", "open_to", "closed_to"),
    [
        ("nurse", ["/worklist", "/patients", "/messages", "/health"], []),
        ("physician", ["/worklist", "/patients", "/messages", "/health"], []),
        ("integration", ["/worklist", "/messages", "/health"], []),
        ("admin", ["/health"], ["/worklist", "/patients", "/messages", "/messages/1", "/live?topic=work"]),
    ],
)
def test_a_role_sees_its_pages_and_no_others(
    served: Any, role: str, open_to: list[str], closed_to: list[str]
) -> None:
    with signed_in_client(served, role) as client:
        assert [client.get(path).status_code for path in open_to] == [200] * len(open_to)
        assert [client.get(path).status_code for path in closed_to] == [403] * len(closed_to)
        assert client.get("/", follow_redirects=True).status_code == 200


def test_a_program_shows_a_token_and_needs_no_form(served: Any) -> None:
    with served.database.connection() as connection:
        token = create_token(connection, "clinic", ["source"])
    with httpx.Client(base_url=served.url, timeout=WAIT_S) as client:
        assert client.get("/worklist", headers={"authorization": "Bearer wrong"}).status_code == 401
        assert client.get("/worklist", headers={"authorization": f"Basic {token}"}).status_code == 401
        # It is let in by its token, and may then do what its role may: the live stream is for people.
        assert client.get("/health", headers={"authorization": f"Bearer {token}"}).status_code == 403
        assert client.get("/patients", headers={"authorization": f"Bearer {token}"}).status_code == 200


def test_every_answer_carries_the_strict_headers(served: Any) -> None:
    with signed_in_client(served, "nurse") as client:
        for path in ("/worklist", "/no-such-page", "/tasks/none", "/static/app.css"):
            headers = client.get(path).headers
            assert headers["content-security-policy"].startswith("default-src 'none'")
            assert headers["x-content-type-options"] == "nosniff"
        assert client.get("/worklist").headers["cache-control"] == "no-store"


def test_errors_are_pages_for_people_and_outcomes_for_programs(served: Any) -> None:
    with signed_in_client(served, "nurse") as client:
        answer = client.get("/no-such-page")
        assert answer.status_code == 404
        assert "Not found" in answer.text
        assert client.get("/tasks/none").status_code == 404
        assert client.post("/worklist").status_code == 405
        told = client.get("/tasks/none", headers={"accept": "application/json"})
        assert told.json()["resourceType"] == "OperationOutcome"


def test_a_form_leads_to_our_own_pages_only(served: Any) -> None:
    for target in ("https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)"):
        with browser(served) as client:
            token = csrf(client.get("/sign-in").text)
            answer = client.post("/sign-in/demo", data={"csrf": token, "name": "nurse", "next": target})
            assert answer.headers["location"] == "/"


def test_the_live_stream_begins_at_once_and_beats(served: Any) -> None:
    with signed_in_client(served, "nurse") as client, client.stream("GET", "/live?topic=work") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        assert next(lines) == "event: beat"
        beats = 1
        for line in lines:
            beats += line == "event: beat"
            if beats == 2:
                break


def test_a_refusal_that_is_no_fault_of_the_client_leaves_a_line_without_words(
    database: Database, serving: Any, tmp_path: Path
) -> None:
    def failing(call: Call) -> Response:
        raise OutcomeError(Issue(call.parts["code"], "Zyzzyva stands in the way.", "Patient.name"))

    roads = [
        Road(path="/fhir/x/y/z/{code}", right=PUBLIC, answer=failing, speaks="fhir"),
        Road(path="/y/{code}", right=PUBLIC, answer=failing, speaks="outcome"),
    ]
    settings = Settings(home=tmp_path, port=0)
    with (
        serving(database, settings, roads) as opened,
        httpx.Client(base_url=opened.url, timeout=WAIT_S) as client,
    ):
        for path in ("/fhir/x/y/z", "/y"):
            for code, status in (("timeout", 503), ("exception", 500), ("no-store", 507)):
                with capture_logs() as told:
                    assert client.get(f"{path}/not-found").status_code == 404
                    assert client.get(f"{path}/{code}").status_code == status
                [line] = [line for line in told if line["event"] == "request_not_served"]
                assert line["status"] == status
                assert code in str(line)
                assert "failing" in str(line) or "/y/{code}" in str(line)
                assert "zyzzyva" not in str(told).lower()
