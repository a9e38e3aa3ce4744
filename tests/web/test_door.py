"""What is brief is answered at the door, and its client cannot tell; whatever else comes on the connection is as ever."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from starlette.responses import Response

from careloom.store import audit
from careloom.store.accounts import create_token
from careloom.store.actor import Actor
from careloom.web import door
from careloom.web.door import Brief, written

AUDITOR = Actor("ada", frozenset({"admin"}))
USUAL = {"Content-Length": "0"}
"""Who tells of a body is answered the usual way."""


@pytest.fixture
def token(served: Any) -> str:
    with served.database.connection() as connection:
        return create_token(connection, "clinic", ["source"])


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """For each request that came to the door whether it was answered there."""
    seen: list[bool] = []
    told = Brief.answer

    def answer(self: Brief, scope: dict[str, Any]) -> Any:
        found = told(self, scope)
        seen.append(found is not None)
        return found

    monkeypatch.setattr(Brief, "answer", answer)
    # A machine that is busy must not send what is brief to the threads.
    monkeypatch.setattr("careloom.web.pace.QUICK_S", 60.0)
    monkeypatch.setattr("careloom.web.pace.PATIENCE_S", 60.0)
    return seen


class Line:
    """One connection, by hand."""

    def __init__(self, served: Any, token: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", int(served.url.rpartition(":")[2])), 60)
        self._file = self._socket.makefile("rb")
        self._token = token

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def write(self, method: str, path: str, body: bytes = b"", **headers: str) -> None:
        self._socket.sendall(self.message(method, path, body, **headers))

    def message(self, method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
        given = {"Host": "here", "Authorization": f"Bearer {self._token}"}
        if body:
            given |= {"Content-Length": str(len(body)), "Content-Type": "application/fhir+json"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in given.items() if value)
        return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body

    def read(self, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
        status = int(self._file.readline().split()[1])
        headers: dict[str, str] = {}
        while (line := self._file.readline()) != b"\r\n":
            name, _, value = line.decode().partition(":")
            assert name not in headers
            headers[name] = value.strip()
        headers.pop("date")
        size = 0 if method == "HEAD" or status == 304 else int(headers.get("content-length", 0))
        return status, headers, self._file.read(size)

    def ask(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        self.write(method, path, body, **headers)
        return self.read(method)

    @property
    def is_over(self) -> bool:
        return self._file.read(1) == b""


@pytest.fixture
def line(served: Any, token: str) -> Iterator[Line]:
    with closing(Line(served, token)) as opened:
        for id_, family in (("one", "Ada"), ("two", "Grace")):
            patient = {"resourceType": "Patient", "id": id_, "name": [{"family": family}]}
            assert opened.ask("PUT", f"/fhir/Patient/{id_}", json.dumps(patient).encode())[0] == 201
        # Who is unknown is asked for by a thread; and so is whoever finds no connection idle.
        assert opened.ask("GET", "/fhir/Patient/one")[0] == 200
        yield opened


CASES: list[tuple[str, str, dict[str, str]]] = [
    ("GET", "/fhir/Patient/one", {}),
    ("HEAD", "/fhir/Patient/one", {}),
    ("GET", "/fhir/Patient/one", {"If_None_Match": 'W/"1"'}),
    ("GET", "/fhir/Patient/none", {}),
    ("GET", "/fhir/Patient/none", {"Accept": "application/fhir+xml"}),
    ("GET", "/fhir/Shoe/one", {}),
    ("GET", "/fhir/Patient/one?_format=xml&_pretty=true", {}),
    ("GET", "/fhir/Patient/one", {"Accept": "image/png"}),
    ("GET", "/fhir/Patient?family=Ada&_count=1", {}),
    ("HEAD", "/fhir/Patient?family=Ada", {}),
    ("GET", "/fhir/Patient?family=A%64a%2B&shoe=7", {}),
    ("GET", "/fhir/Patient?birthdate=x", {}),
    ("GET", "/fhir/Patient?_count=1&_sort=family", {}),
    ("GET", "/fhir/Patient/one", {"Authorization": ""}),
    ("GET", "/fhir/Patient/one", {"Authorization": "Basic x"}),
]


def test_what_is_answered_at_the_door_is_answered_as_ever(line: Line, ways: list[bool]) -> None:
    for method, path, headers in CASES:
        ways.clear()
        brief = line.ask(method, path, **headers)
        usual = line.ask(method, path, **headers, **USUAL)
        assert ways == [True], path
        assert brief == usual


def test_what_is_no_matter_of_a_moment_goes_the_usual_way(line: Line, ways: list[bool]) -> None:
    for method, path, headers in (
        ("GET", "/fhir/metadata", {}),
        ("GET", "/fhir/Patient/one/_history/1", {}),
        ("GET", "/fhir/Patient/on%65", {}),
        ("GET", "/fhir/Patient?name=%00", {}),
        ("GET", "http://here/fhir/Patient/one", {}),
        ("POST", "/fhir/Patient/_search", {}),
        ("DELETE", "/fhir/Patient/two", {}),
        ("OPTIONS", "/fhir/Patient/one", {}),
        ("GET", "/fhir/Patient/one", {"Expect": "100-continue", "Connection": "close"}),
    ):
        status, _, _ = line.ask(method, path, **headers)
        assert status in {200, 204, 400, 405}, path
        assert True not in ways


def test_requests_that_come_together_are_answered_in_their_order(line: Line, ways: list[bool]) -> None:
    paths = ["/fhir/Patient/one", "/fhir/metadata", "/fhir/Patient/none", "/alive", "/fhir/Patient/two"]
    line._socket.sendall(b"".join(line.message("GET", path) for path in paths))
    answers = [line.read() for _ in paths]
    assert [status for status, _, _ in answers] == [200, 200, 404, 200, 200]
    assert [b'"family":"%b"' % name in answers[place][2] for place, name in ((0, b"Ada"), (4, b"Grace"))] == [
        True
    ] * 2
    assert ways[0]


def test_who_wants_no_more_is_left(line: Line) -> None:
    assert line.ask("GET", "/fhir/Patient/one", Connection="close")[1]["connection"] == "close"
    assert line.is_over


def test_a_proxy_on_this_machine_tells_for_whom_it_asks(line: Line, served: Any, ways: list[bool]) -> None:
    told = {"X_Forwarded_For": "192.0.2.7", "X_Forwarded_Proto": "https"}
    _, _, body = line.ask("GET", "/fhir/Patient?family=Ada", **told)
    assert ways == [True]
    assert json.loads(body)["link"][0]["url"].startswith("https://here/fhir/Patient")
    assert json.loads(line.ask("GET", "/fhir/Patient?family=Ada", **told, **USUAL)[2]) == json.loads(body)


def test_what_is_read_at_the_door_leaves_its_line(line: Line, served: Any, ways: list[bool]) -> None:
    line.ask("GET", "/fhir/Patient/one", X_Forwarded_For="192.0.2.7")
    assert ways == [True]
    lines: list[audit.Access] = []
    deadline = time.monotonic() + 60
    while not (found := [one for one in lines if one.interaction == "read" and one.address == "192.0.2.7"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
        with served.database.connection() as connection:
            lines = [access for _, access in audit.accesses(connection, AUDITOR)]
    assert [(one.actor, one.what) for one in found] == [("clinic", "Patient/one")]


def test_what_has_to_be_waited_for_is_answered_by_a_thread(
    line: Line, ways: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "walk", _slow)
    assert line.ask("GET", "/fhir/Patient/one")[0] == 200
    assert ways == [False]


def _slow(*_: Any, **__: Any) -> Any:
    raise door.Slow


def test_a_header_that_would_break_the_answer_is_not_written() -> None:
    answer = Response(b"x", headers={"x-of": "a", "x-other": "b\r\nset-cookie: c"})
    assert written(answer, "GET", ()) is None
    del answer.headers["x-other"]
    assert written(answer, "GET", [(b"date", b"now")]).startswith(
        b"HTTP/1.1 200 OK\r\ndate: now\r\nx-of: a\r\n"
    )
