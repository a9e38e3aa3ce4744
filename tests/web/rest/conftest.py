"""A FHIR client with a token, over a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from careloom.store.accounts import create_token


@pytest.fixture
def client(served: Any) -> Iterator[httpx.Client]:
    """A program that may read and write."""
    with served.database.connection() as connection:
        token = create_token(connection, "clinic", ["source"])
    headers = {"authorization": f"Bearer {token}", "content-type": "application/fhir+json"}
    with httpx.Client(base_url=f"{served.url}/fhir", headers=headers, timeout=60) as opened:
        yield opened
