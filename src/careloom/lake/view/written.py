"""lake.view.written: how a dialect says what a function looks like: a template, or how its arguments are put together.

Room: lake. May import: the standard library only.
"""

from __future__ import annotations

from collections.abc import Callable

Written = str | Callable[..., str]
"""A template, with {0}, {1} for the arguments as written; or a function of them."""


def put(how: Written, arguments: list[str]) -> str:
    """A call as text.

    >>> put("({0} / nullif({1}, 0))", ["a", "b"])
    '(a / nullif(b, 0))'
    """
    return how.format(*arguments) if isinstance(how, str) else how(*arguments)


def infix(sign: str) -> Callable[..., str]:
    """Any number of operands with a sign between them.

    >>> infix("AND")("a", "b", "c")
    '(a AND b AND c)'
    """

    def written(*sides: str) -> str:
        return "(" + f" {sign} ".join(sides) + ")"

    return written


def called(name: str) -> Callable[..., str]:
    """A function with any number of arguments.

    >>> called("least")("a", "b")
    'least(a, b)'
    """

    def written(*arguments: str) -> str:
        return f"{name}({', '.join(arguments)})"

    return written
