"""lake.view.written: how a dialect says what a function looks like: a template, or how its arguments are put together.

Room: lake. May import: the standard library only.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

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


def constant(value: object, *, text: Callable[[str], str], whole: Callable[[int], str]) -> str:
    """A literal; a decimal is a double.

    >>> constant(None, text=repr, whole=str), constant(True, text=repr, whole=str)
    ('NULL', 'TRUE')
    """
    match value:
        case None:
            return "NULL"
        case bool():
            return "TRUE" if value else "FALSE"
        case int():
            return whole(value)
        case Decimal():
            return f"CAST('{value}' AS DOUBLE)"
        case _:
            return text(str(value))


ALIKE: dict[str, Written] = {
    **{sign: infix(sign) for sign in ("=", "<>", "<", "<=", ">", ">=", "+", "-", "*")},
    "and": infix("AND"),
    "or": infix("OR"),
    "not": "(NOT {0})",
    "is not null": "({0} IS NOT NULL)",
    "is true": "coalesce({0}, FALSE)",
    "/": "({0} / nullif({1}, 0))",
    "mod": "({0} % nullif({1}, 0))",
    "negative": "(-{0})",
    "rounded": "round({0}, 8)",
    "power": called("pow"),
    "coalesce": called("coalesce"),
    "least": called("least"),
    "greatest": called("greatest"),
    "long": "CAST({0} AS BIGINT)",
    "clock": "rpad(CASE WHEN length({0}) = 8 THEN {0} || '.' ELSE {0} END, 18, '0')",
    "length of text": called("length"),
    "right padded": called("rpad"),
    "matched": "regexp_extract({0}, {1}, 1)",
    "nonempty": "nullif({0}, '')",
    "contains": called("contains"),
    "upper": called("upper"),
    "lower": called("lower"),
    "trim": called("trim"),
    "replace": called("replace"),
    "substring": "substring({0}, {1} + 1, {2})",
    "abs": called("abs"),
    "sqrt": "CASE WHEN {0} >= 0 THEN sqrt({0}) END",
}
"""What DuckDB and Spark write alike."""
