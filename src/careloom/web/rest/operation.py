"""web.rest.operation: where an operation may be called, its roads, and the parameters of a call.

Room: web. Standard: https://hl7.org/fhir/R4/operations.html
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from careloom.fhir.outcome import Issue, OutcomeError, refuse_nul
from careloom.fhir.resource import REPEATED, Resource, has_repeated_keys, loads, minify
from careloom.registry import OPERATIONS, load
from careloom.web.call import Call
from careloom.web.road import Handler, Road

Level = Literal["system", "type", "instance"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """Where and how an operation may be called."""

    levels: tuple[Level, ...]
    types: tuple[str, ...] = ()
    """The resource types that it belongs to; empty: all."""
    methods: tuple[str, ...] = ("GET", "POST")
    """POST alone for what changes something (R4 operations, 3.2.0.1)."""
    paths: tuple[str, ...] = ()
    """Its addresses, where levels and types do not say it all."""
    right: str = "clinical.read"
    before: Handler | None = None
    """As of a Road: the body may be of any size."""
    definition: str = ""
    """Its canonical address; empty: that of the R4 operation `Resource-name`."""
    speaks: Literal["fhir", "outcome"] = "fhir"
    """`outcome`: what it answers is no resource, and in which form it comes is its own affair."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a call, from its address and its body."""

    values: Mapping[str, list[Any]] = field(default_factory=dict[str, list[Any]])
    resource: Resource | None = None
    """A bare resource in the body, or the one of the parameter `resource`."""
    resources: Mapping[str, list[Resource]] = field(default_factory=dict[str, list[Resource]])
    """The parameters that are resources."""

    def text(self, name: str, default: str = "") -> str:
        """The first value of a parameter as text."""
        found = self.values.get(name)
        return str(found[0]).strip() if found else default

    def texts(self, name: str) -> list[str]:
        """All values, those with commas taken apart."""
        return [
            part.strip()
            for value in self.values.get(name, [])
            for part in str(value).split(",")
            if part.strip()
        ]


@cache
def operations() -> dict[str, Operation]:
    """Name -> where it may be called."""
    return {name: sys.modules[load(target).__module__].OPERATION for name, target in OPERATIONS.items()}


def operation_roads() -> Iterator[Road]:
    """A road for each place at which an operation may be called."""
    for name, one in operations().items():
        for path in paths_of(name):
            yield Road(
                path=path,
                right=one.right,
                answer=load(OPERATIONS[name]),
                methods=one.methods,
                speaks=one.speaks,
                before=one.before,
            )


def parameters_of(call: Call) -> Parameters:
    """The parameters of a call. Raises OutcomeError(structure) for a body that is no resource."""
    values: dict[str, list[Any]] = {}
    for name, value in call.query:
        values.setdefault(name, []).append(value)
    if not call.body:
        return Parameters(values)
    body = loads(call.body)
    if not isinstance(body, dict) or not isinstance(body.get("resourceType"), str):
        raise OutcomeError(Issue("structure", "The body must be Parameters or a resource."))
    if has_repeated_keys(minify(call.body), body):
        raise OutcomeError(Issue("structure", REPEATED))
    if body["resourceType"] != "Parameters":
        return Parameters(values, body)
    given = body.get("parameter", [])
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise OutcomeError(
            Issue("structure", "A parameter is an object with a name.", "Parameters.parameter")
        )
    resources: dict[str, list[Resource]] = {}
    for one in given:
        if isinstance(one.get("resource"), dict):
            resources.setdefault(str(one.get("name", "")), []).append(one["resource"])
        values.setdefault(str(one.get("name", "")), []).extend(
            v for k, v in one.items() if k.startswith("value")
        )
    refuse_nul(*(one for several in values.values() for one in several if isinstance(one, str)))
    return Parameters(values, next(reversed(resources.get("resource", [])), None), resources)


def paths_of(name: str) -> Iterator[str]:
    """The addresses at which an operation is called."""
    one = operations()[name]
    if one.paths:
        yield from one.paths
        return
    types = one.types or ("{rtype:type}",)
    if "system" in one.levels:
        yield f"/fhir/${name}"
    for rtype in types:
        if "type" in one.levels:
            yield f"/fhir/{rtype}/${name}"
        if "instance" in one.levels:
            yield f"/fhir/{rtype}/{{id}}/${name}"
