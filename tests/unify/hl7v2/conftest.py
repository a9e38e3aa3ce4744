"""A sender and the state that its messages leave: what flow does with a Conversion, in ten lines."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from typing import Any

import pytest

from careloom.fhir.resource import Resource, dumps, loads
from careloom.fhir.validate import validate
from careloom.store.event import Event
from careloom.store.ledger import Conversion
from careloom.unify.hl7v2.convert import to_resources
from careloom.unify.hl7v2.message import parse


class Hospital:
    """Applies conversions to a state of its own: whole replaces, partial fills."""

    def __init__(self, zone: tzinfo = UTC) -> None:
        self.state: dict[tuple[str, str], Resource] = {}
        self.zone = zone

    def hear(self, message: str, source: str = "ehr") -> Conversion:
        """Convert a message, check what each conversion promises, and apply it."""
        body = message.strip().replace("\n", "\r").encode()
        event = Event(1, source, "hl7v2", body, "key", datetime(2024, 3, 1, 12, tzinfo=UTC), "received")
        conversion = to_resources(event, self.current, zone=self.zone)
        check_ledger(body, conversion)
        for stated in conversion.stated:
            assert [issue for issue in validate(stated.resource) if issue.severity == "error"] == []
            resource = loads(dumps(stated.resource))
            key = (resource["resourceType"], resource["id"])
            if stated.extent == "whole" or key not in self.state:
                self.state[key] = resource
            else:
                self.state[key] = {**resource, **self.state[key]}
        return conversion

    def current(self, rtype: str, identity: str) -> Resource | None:
        return loads(dumps(self.state[rtype, identity])) if (rtype, identity) in self.state else None

    def all(self, rtype: str) -> list[Resource]:
        return [resource for (kind, _), resource in self.state.items() if kind == rtype]

    def one(self, rtype: str) -> Resource:
        (found,) = self.all(rtype)
        return found


def check_ledger(body: bytes, conversion: Conversion) -> None:
    """Every leaf has one line, and the target of each mapped one resolves in what is stated."""
    if not conversion.ledger:
        return
    message = parse(body)
    assert [line.where for line in conversion.ledger] == [message.address(at) for at, _ in message.leaves()]
    made = {f"{s.resource['resourceType']}/{s.resource['id']}": s.resource for s in conversion.stated}
    for line in conversion.ledger:
        assert line.target, line
        if line.fate == "mapped":
            assert resolved(made, line.target) is not None, line


def resolved(made: dict[str, Resource], target: str) -> Any:
    """What stands at `Patient/<id>.name[0].family`."""
    head, *steps = target.split(".")
    value: Any = made[head]
    for step in steps:
        name, *at = re.split(r"\[|\]", step)
        value = value[name]
        if at:
            value = value[int(at[0])]
    return value


@pytest.fixture
def hospital() -> Hospital:
    return Hospital()


@pytest.fixture
def hear(hospital: Hospital) -> Callable[..., Conversion]:
    return hospital.hear
