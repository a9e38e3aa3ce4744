"""The registry is whole: every line resolves to a documented function of the right shape."""

from __future__ import annotations

import inspect
import sys

import pytest

from careloom import registry
from careloom.fhir.searchparam import of_r4
from careloom.flow.station import hears

SHAPES = {"MAPPERS": 2, "STATIONS": 2, "TIMERS": 2, "OPERATIONS": 1, "JOBS": 4, "STEPS": 1, "CHECKS": 1}
LINES = [(table, name, target) for table in SHAPES for name, target in getattr(registry, table).items()]


@pytest.mark.parametrize(
    ("table", "name", "target"), LINES, ids=[f"{table}-{name}" for table, name, _ in LINES]
)
def test_a_line_resolves_to_a_documented_function(table: str, name: str, target: str) -> None:
    function = registry.load(target)
    assert function.__doc__
    required = [
        p
        for p in inspect.signature(function).parameters.values()
        if p.default is p.empty and p.kind != p.KEYWORD_ONLY
    ]
    assert len(required) <= SHAPES[table]


@pytest.mark.parametrize("name", registry.STATIONS)
def test_a_station_names_the_types_it_hears(name: str) -> None:
    module = sys.modules[registry.load(registry.STATIONS[name]).__module__]
    assert isinstance(module.TYPES, frozenset)
    assert module.TYPES


@pytest.mark.parametrize("name", registry.STATIONS)
def test_the_codes_that_a_station_hears_are_those_of_token_parameters_of_its_types(name: str) -> None:
    interest = hears(name)
    for rtype, (parameter, codes) in interest.coded.items():
        assert rtype in interest.types
        assert of_r4(rtype)[parameter].type == "token"
        assert codes
