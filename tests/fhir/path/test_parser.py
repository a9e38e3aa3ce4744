"""Parsing FHIRPath: precedence, literals, positions of errors, bounds, and the law that printing and parsing agree."""

from __future__ import annotations

import contextlib
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from careloom.fhir.outcome import OutcomeError
from careloom.fhir.path import parse
from careloom.fhir.path.parser import CALENDAR
from careloom.fhir.path.tree import (
    Binary,
    Call,
    Empty,
    Indexer,
    Literal,
    Member,
    Node,
    Polarity,
    Quantity,
    Special,
    TypeOperation,
    Variable,
    nodes,
    type_name,
)


def printed(node: Node) -> str:  # noqa: PLR0911 - one for each kind of node
    """A text with parentheses around everything that could be read otherwise."""
    match node:
        case Empty():
            return "{}"
        case Literal(kind, value):
            return literal(kind, value)
        case Quantity(value, unit, is_calendar):
            return f"{value} {unit if is_calendar else quoted(unit)}"
        case Variable(name):
            return f"%`{escaped(name, '`')}`"
        case Special(name):
            return f"${name}"
        case Member(base, name):
            return before(base) + f"`{escaped(name, '`')}`"
        case Call(base, name, arguments):
            return before(base) + f"`{escaped(name, '`')}`({', '.join(map(printed, arguments))})"
        case Indexer(base, index):
            return f"({printed(base)})[{printed(index)}]"
        case Polarity(sign, operand):
            return f"{sign}({printed(operand)})"
        case TypeOperation(operator, operand, name):
            return f"({printed(operand)} {operator} {name})"
        case Binary(operator, left, right):
            return f"({printed(left)} {operator} {printed(right)})"


def before(base: Node | None) -> str:
    return "" if base is None else f"({printed(base)})."


def literal(kind: str, value: object) -> str:
    match kind:
        case "String":
            return quoted(str(value))
        case "Boolean":
            return str(value).lower()
        case "Long":
            return f"{value}L"
        case "Date" | "DateTime":
            return f"@{value}"
        case "Time":
            return f"@T{value}"
        case _:
            return str(value)


def escaped(text: str, quote: str) -> str:
    return text.replace("\\", "\\\\").replace(quote, f"\\{quote}")


def quoted(text: str) -> str:
    return f"'{escaped(text, chr(39))}'"


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
decimals = st.decimals(min_value=0, max_value=10**9, places=3)
literals = st.one_of(
    st.builds(Empty),
    st.builds(Literal, st.just("String"), texts),
    st.builds(Literal, st.just("Boolean"), st.booleans()),
    st.builds(Literal, st.sampled_from(["Integer", "Long"]), st.integers(0, 2**31)),
    st.builds(Literal, st.just("Decimal"), decimals),
    st.builds(Literal, st.just("Date"), st.sampled_from(["2014", "2014-01", "2014-01-25"])),
    st.builds(Literal, st.just("DateTime"), st.sampled_from(["2014T", "2014-01-25T14:30:14.559-03:30"])),
    st.builds(Literal, st.just("Time"), st.sampled_from(["14", "14:30", "14:30:00.5"])),
    st.builds(Quantity, decimals, texts),
    st.builds(Quantity, decimals, st.sampled_from(sorted(CALENDAR)), st.just(value=True)),
    st.builds(Variable, names),
    st.builds(Special, st.sampled_from(["this", "index", "total"])),
    st.builds(Member, st.none(), names),
)
OPERATORS = [
    "*",
    "/",
    "div",
    "mod",
    "+",
    "-",
    "&",
    "|",
    "<=",
    "<",
    ">",
    ">=",
    "=",
    "~",
    "!=",
    "!~",
    "in",
    "contains",
    "and",
    "or",
    "xor",
    "implies",
]


def larger(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    return st.one_of(
        st.builds(Member, inner, names),
        st.builds(
            Call,
            st.none() | inner,
            names.filter(lambda n: n != "sort"),
            st.lists(inner, max_size=3).map(tuple),
        ),
        st.builds(Indexer, inner, inner),
        st.builds(Polarity, st.sampled_from("+-"), inner),
        st.builds(Binary, st.sampled_from(OPERATORS), inner, inner),
        st.builds(
            TypeOperation, st.sampled_from(["is", "as"]), inner, st.sampled_from(["Patient", "FHIR.id"])
        ),
    )


@given(st.recursive(literals, larger, max_leaves=12))
def test_a_tree_that_is_printed_parses_to_itself(tree: Node) -> None:
    assert parse(printed(tree)) == tree


@given(st.text(st.sampled_from("ab1.()[]{}'`@%$ +-*/|<=&\\T:") | st.characters(), max_size=40))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with contextlib.suppress(OutcomeError):
        parse(text)


def test_operators_bind_as_the_grammar_says() -> None:
    assert parse("1 + 2 * 3") == parse("1 + (2 * 3)")
    assert parse("1 - 2 - 3") == parse("(1 - 2) - 3")
    assert parse("a | b is c") == Binary("|", Member(None, "a"), TypeOperation("is", Member(None, "b"), "c"))
    assert parse("a = b and c in d or e implies f") == parse("(((a = b) and (c in d)) or e) implies f")
    assert parse("-1.abs()") == Polarity("-", Call(Literal("Integer", 1), "abs"))
    assert parse("1 > 2 is Boolean") == parse("1 > (2 is Boolean)")
    assert parse("-a * b") == parse("(-a) * b")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("1.5", Literal("Decimal", Decimal("1.5"))),
        ("'it\\'s \\u0041'", Literal("String", "it's A")),
        ("@2015T.is(DateTime)", Call(Literal("DateTime", "2015T"), "is", (Member(None, "DateTime"),))),
        ("@2015-02-04T14.a", Member(Literal("DateTime", "2015-02-04T14"), "a")),
        ("@T14:34:28.123", Literal("Time", "14:34:28.123")),
        ("4 days", Quantity(Decimal(4), "days", is_calendar=True)),
        ("10.1 'mg'", Quantity(Decimal("10.1"), "mg")),
        ("contains.as.is", Member(Member(Member(None, "contains"), "as"), "is")),
        ("%`vs-x`", Variable("vs-x")),
        ("%'vs-x'", Variable("vs-x")),
        ("a // why\n/* or\nhow */ .b", Member(Member(None, "a"), "b")),
        ("sort(a desc, b asc)", Call(None, "sort", (Polarity("-", Member(None, "a")), Member(None, "b")))),
    ],
)
def test_text_becomes_a_tree(text: str, tree: Node) -> None:
    assert parse(text) == tree


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", 1),
        ("2 + 2 /", 8),
        ("2 /* not finished", 4),
        ("a.b)", 4),
        ("a..b", 3),
        ("name.where(use = 'x'", 21),
        ("'open", 1),
        ("'\\q'", 2),
        ("@T14:34:28Z", 11),
        ("a.$this", 3),
        ("a and", 6),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text: str, place: int) -> None:
    with pytest.raises(OutcomeError, match=f"character {place}\\)") as caught:
        parse(text)
    assert caught.value.issues[0].code == "invalid"


def test_a_refusal_holds_no_string_of_the_expression() -> None:
    with pytest.raises(OutcomeError) as caught:
        parse("name.where(family = = 'Chalmers')) 'Chalmers'")
    assert "Chalmers" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 5000 + "1" + ")" * 5000,
        "a" + ".a" * 5000,
        "1" + "+1" * 5000,
        "-" * 5000 + "1",
        "a[" * 500,
        " " * 200_000,
    ],
    ids=["parentheses", "steps", "operators", "signs", "indexers", "length"],
)
def test_what_is_nested_too_deeply_is_refused(text: str) -> None:
    with pytest.raises(OutcomeError) as caught:
        parse(text)
    assert caught.value.issues[0].code == "too-costly"


def test_a_type_is_named_by_one_name_or_two() -> None:
    assert type_name(parse("System.String")) == "System.String"
    assert type_name(parse("Patient")) == "Patient"
    assert type_name(parse("a.b.c")) == type_name(parse("'a'")) == ""


def test_nodes_gives_the_whole_tree() -> None:
    assert sum(isinstance(node, Call) for node in nodes(parse("a.where(b.exists()).count()"))) == 3
