"""Who is signed in at the pages, over a real socket."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest


@pytest.fixture
def signed_in(served: Any) -> Iterator[Callable[[str], httpx.Client]]:
    """`signed_in("nurse")`: a client with that role's session."""
    clients: list[httpx.Client] = []

    def enter(role: str) -> httpx.Client:
        # The first statement starts a process, which takes its time on a busy machine.
        client = httpx.Client(
            base_url=served.url, headers={"Accept": "text/html"}, follow_redirects=True, timeout=60
        )
        clients.append(client)
        found = re.search(r'name="csrf" value="([^"]+)"', client.get("/sign-in").text)
        assert found
        client.post("/sign-in/demo", data={"csrf": found[1], "name": role, "next": "/"})
        return client

    yield enter
    for client in clients:
        client.close()
