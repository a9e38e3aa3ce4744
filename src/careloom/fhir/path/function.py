"""fhir.path.function: the two tables of functions, and how a module puts one in.

Room: fhir. May import: fhir.path.

Most functions are handed collections: their input and, evaluated before, their arguments. Those whose arguments are
evaluated for each item (`where`) are handed trees and compile them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from careloom.fhir.path.env import Env
from careloom.fhir.path.tree import Call, Node
from careloom.fhir.path.value import Collection

Eval = Callable[[Env, Collection], Collection]
"""A compiled expression: evaluated in an environment on `$this`."""

Compile = Callable[[Node], Eval]


class Function(NamedTuple):
    """A function of collections: `run(env, input, *arguments)`."""

    run: Callable[..., Collection]
    least: int
    most: int


class Special(NamedTuple):
    """A function of trees: `build(call, source, compile)`; source is the compiled input."""

    build: Callable[[Call, Eval, Compile], Eval]
    least: int
    most: int


FUNCTIONS: dict[str, Function] = {}
SPECIALS: dict[str, Special] = {}


def function(least: int = 0, most: int | None = None, *, name: str = "") -> Callable[..., Any]:
    """Put `run(env, input, *arguments)` in the table; it takes from `least` to `most` arguments."""

    def put(run: Callable[..., Collection]) -> Callable[..., Collection]:
        FUNCTIONS[name or _camel(run.__name__)] = Function(run, least, least if most is None else most)
        return run

    return put


def special(least: int = 0, most: int | None = None, *, name: str = "") -> Callable[..., Any]:
    """Put `build(call, source, compile)` in the table."""

    def put(build: Callable[[Call, Eval, Compile], Eval]) -> Callable[[Call, Eval, Compile], Eval]:
        SPECIALS[name or _camel(build.__name__)] = Special(build, least, least if most is None else most)
        return build

    return put


def _camel(name: str) -> str:
    first, *rest = name.strip("_").split("_")
    return first + "".join(word.capitalize() for word in rest)
