"""web.askers: processes that run statements: kept for the next one, replaced when one is gone, ended with the server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from careloom.fhir.outcome import OutcomeError
from careloom.lake.asking import Request, told
from careloom.web.askers import Askers


def request(root: Path, actor: str = "a", roles: tuple[str, ...] = ("physician",)) -> Request:
    return Request(work="kept", kept=b"none", actor=actor, roles=roles, root=str(root))


async def ask(askers: Askers, one: Request) -> list[str]:
    async with askers.asked(one) as frames:
        return [told(raw).get("parameters") async for _, raw in frames]


def test_a_process_that_was_killed_while_it_was_idle_is_replaced_and_all_end_with_the_server(
    tmp_path: Path,
) -> None:
    async def all_of_it() -> None:
        askers = Askers()
        with pytest.raises(OutcomeError, match="The statement failed"):
            await ask(askers, request(tmp_path))
        with pytest.raises(OutcomeError, match="Your role"):
            await ask(askers, request(tmp_path, roles=("nurse",)))
        (process,) = askers.processes
        process.kill()
        with pytest.raises(OutcomeError, match="The statement failed"):
            await ask(askers, request(tmp_path))
        assert [one.pid for one in askers.processes] != [process.pid]
        await askers.close()
        assert not askers.processes

    asyncio.run(all_of_it())


def test_a_user_may_have_two_statements_at_a_time(tmp_path: Path) -> None:
    async def all_of_it() -> None:
        askers = Askers()
        # Each has its place from the moment it asks, whether its process stands already or not.
        async with askers.asked(request(tmp_path)), askers.asked(request(tmp_path)):
            with pytest.raises(OutcomeError, match="You have 2 statements at work") as caught:
                await ask(askers, request(tmp_path))
            assert caught.value.issues[0].code == "throttled"
            async with askers.asked(request(tmp_path, "b")):
                pass
        await askers.close()

    asyncio.run(all_of_it())
