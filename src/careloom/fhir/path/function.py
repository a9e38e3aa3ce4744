"""fhir.path.function: the two tables of functions, and how a module puts one in.

Room: fhir. May import: fhir.path.

Most functions are handed collections: their input and, evaluated before, their arguments. Those whose arguments are
evaluated for each item (`where`) are handed trees and compile them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from careloom.fhir.path.env import Env
from careloom.fhir.path.tree import Call, Node
from careloom.fhir.path.value import Collection, Want

Eval = Callable[[Env, Collection], Collection]
"""A compiled expression: evaluated in an environment on `$this`."""


class Constant:
    """What is the same for every resource."""

    __slots__ = ("value",)

    def __init__(self, value: Collection) -> None:
        self.value = value

    def __call__(self, _env: Env, _this: Collection) -> Collection:
        """The value, whatever it is asked on."""
        return self.value


Source = Callable[[Want], Eval]
"""The input of a function, compiled for who wants that much of it."""


class Compile(Protocol):
    """Compiles an argument for who wants that much of it."""

    def __call__(self, node: Node, want: Want = Want.NODES, /) -> Eval:
        """The compiled argument."""
        ...


Build = Callable[[Call, Source, Compile, Want], Eval]


class Function(NamedTuple):
    """A function of collections: `run(env, input, *arguments)`."""

    run: Callable[..., Collection]
    least: int
    most: int
    wants: Want = Want.VALUES
    """What it must know of its input at most."""
    is_selection: bool = False
    """Whether it gives items of its input, so that it must know of them what is wanted of it."""


class Special(NamedTuple):
    """A function of trees: `build(call, source, compile, want)`; source gives the compiled input."""

    build: Build
    least: int
    most: int


FUNCTIONS: dict[str, Function] = {}
SPECIALS: dict[str, Special] = {}


def function(
    least: int = 0,
    most: int | None = None,
    *,
    name: str = "",
    wants: Want = Want.VALUES,
    is_selection: bool = False,
) -> Callable[..., Any]:
    """Put `run(env, input, *arguments)` in the table; it takes from `least` to `most` arguments."""

    def put(run: Callable[..., Collection]) -> Callable[..., Collection]:
        most_of_all = least if most is None else most
        FUNCTIONS[name or _camel(run.__name__)] = Function(run, least, most_of_all, wants, is_selection)
        return run

    return put


def special(least: int = 0, most: int | None = None, *, name: str = "") -> Callable[[Build], Build]:
    """Put `build(call, source, compile, want)` in the table."""

    def put(build: Build) -> Build:
        SPECIALS[name or _camel(build.__name__)] = Special(build, least, least if most is None else most)
        return build

    return put


def _camel(name: str) -> str:
    first, *rest = name.strip("_").split("_")
    return first + "".join(word.capitalize() for word in rest)
