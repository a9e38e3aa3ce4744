"""lake.view.path: a FHIRPath expression, compiled to a typed SQL expression.

Room: lake. May import: lake.view, fhir.path. Standards: http://hl7.org/fhirpath/N1/ and the subset that
https://sql-on-fhir.org/ig/2.0.0/StructureDefinition-ViewDefinition.html#fhirpath asks for.

Types are known before any row is seen, so most mistakes are found here. What this compiler does not know it refuses;
it never guesses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from careloom.fhir.facts import resource_types
from careloom.fhir.outcome import Issue
from careloom.fhir.path import tree as t
from careloom.fhir.path.types import PRIMITIVES, is_kind_of, known_type
from careloom.lake.shape import Leaf
from careloom.lake.view import operator
from careloom.lake.view.fault import unsupported, wrong_path
from careloom.lake.view.member import has_member, member, resource_type_is
from careloom.lake.view.sql import ZERO, Constant, Row, Sql, Var, at, when
from careloom.lake.view.sql import fn as sql_fn
from careloom.lake.view.value import (
    EMPTY,
    Choice,
    Empty,
    Names,
    Result,
    Value,
    as_list,
    boolean,
    decimal,
    exists,
    gathered,
    integer,
    mapped,
    only,
    restricted,
    text,
)

Function = Callable[["Compiler", t.Call, Value], Result]
FUNCTIONS: dict[str, tuple[int, int, Function]] = {}
"""Name -> least and most arguments, and how it is compiled; lake.view.function fills it."""


@dataclass
class Compiler:
    """Compiles the paths of one view; `warnings` collects what is odd and yet has a meaning."""

    names: Names
    constants: Mapping[str, Value]
    row_index: Sql = ZERO
    exact: bool = False
    """Decimals as the text that was written; for the functions that ask how precise they are."""
    warnings: list[Issue] | None = None

    def at_index(self, row_index: Sql) -> Compiler:
        """The same, where %rowIndex is another."""
        return replace(self, row_index=row_index)

    def result(self, node: t.Node, this: Value) -> Result:  # noqa: C901, PLR0911, PLR0912 - one for each kind of node
        """What a node gives on the context `this`. Raises OutcomeError(invalid or not-supported)."""
        match node:
            case t.Empty():
                return EMPTY
            case t.Literal():
                return literal(node)
            case t.Quantity():
                raise unsupported(
                    "A quantity is not compiled to SQL; compare its value and its code", node.at
                )
            case t.Variable(name):
                return self._variable(name, node.at)
            case t.Special("this"):
                return this
            case t.Special(name):
                raise unsupported(f"${name} is not compiled to SQL", node.at)
            case t.Member(None, name) if self._is_own_type(name, this):
                return this
            case t.Member(base, name):
                return self._led(this if base is None else self.result(base, this), name, node.at)
            case t.Call():
                return self._called(node, this)
            case t.Indexer(base, index):
                return self._indexed(self.value(base, this), index, this)
            case t.Polarity(sign, operand):
                return operator.signed(sign, self.value(operand, this), node.at)
            case t.TypeOperation("is", operand, name):
                return self.is_type(self.result(operand, this), name, node.at)
            case t.TypeOperation(_, operand, name):
                return self.of_type(self.result(operand, this), name, node.at)
            case t.Binary():
                return operator.binary(self, node, this)

    def value(self, node: t.Node, this: Value) -> Value | Empty:
        """A result of one type; a choice of which no type is said is refused unless all its options fit one column."""
        found = self.result(node, this)
        return self.settled(found, node.at) if isinstance(found, Choice) else found

    def one(self, node: t.Node, this: Value, what: str) -> Value | Empty:
        """At most one item; where there are more, the query stops."""
        found = self.value(node, this)
        complaint = f"{what} takes one item, and there are several (FHIRPath, character {node.at + 1})."
        return only(found, f"{complaint}") if isinstance(found, Value) else found

    def truth(self, node: t.Node, this: Value, what: str) -> Sql:
        """A condition: a boolean; one item that is none counts as true (singleton evaluation)."""
        found = self.result(node, this)
        if isinstance(found, Choice):
            return exists(found)
        if isinstance(found, Empty):
            return Constant(None)
        single = only(found, f"{what} takes one boolean, and there are several items.")
        if single.type in {"boolean", "Boolean"}:
            return single.sql
        return when(exists(single), Constant(value=True))

    def settled(self, choice: Choice, at_: int) -> Value | Empty:
        """A choice as one value, as its options have leaves of one kind; the first that is there."""
        if choice.many or len(choice.options) > _SETTLED:
            raise wrong_path("The element has a choice of types: say which one with ofType()", at_)
        found = [value for option in choice.options.values() if isinstance(value := option(), Value)]
        kinds = {value.holds for value in found if isinstance(value.holds, Leaf)}
        if len(kinds) != 1 or any(value.type not in PRIMITIVES or value.many for value in found):
            raise wrong_path("The element has a choice of types: say which one with ofType()", at_)
        kind = "dateTime" if {value.type for value in found} <= {"date", "dateTime", "instant"} else "string"
        if kinds == {Leaf.TEXT}:
            return text(sql_fn("coalesce", *(value.sql for value in found)), kind)
        return replace(found[0], sql=sql_fn("coalesce", *(value.sql for value in found)))

    def _is_own_type(self, name: str, this: Value) -> bool:
        """`Patient` in `Patient.name`."""
        return name[:1].isupper() and is_kind_of(this.type, name) and this.type not in PRIMITIVES

    def _variable(self, name: str, at_: int) -> Value:
        if name == "rowIndex":
            return integer(self.row_index)
        if name in self.constants:
            return self.constants[name]
        if name in {"context", "resource", "rootResource"}:
            raise unsupported(f"%{name} is not compiled to SQL", at_)
        raise wrong_path(f"No constant is called %{name}", at_)

    def _led(self, found: Result, name: str, at_: int) -> Result:
        match found:
            case Empty():
                return found
            case Choice():
                return self._led_by_choice(found, name, at_)
            case Value(type=kind):
                if not has_member(kind, name):
                    self._warn(f"There is no element {name} in {kind or 'a resource'}", at_)
                    return Empty(many=found.many)
                return member(self.names, found, name, exact=self.exact)

    def _led_by_choice(self, choice: Choice, name: str, at_: int) -> Result:
        """`value.unit`: of the options that have the element, which must be one."""
        having = [kind for kind in choice.options if has_member(kind, name)]
        if not having:
            self._warn(f"None of the types of the choice has an element {name}", at_)
            return Empty(many=choice.many)
        if len(having) > 1:
            raise wrong_path("Several types of the choice have this element: say which with ofType()", at_)
        return self._led(choice.options[having[0]](), name, at_)

    def _warn(self, what: str, at_: int) -> None:
        if self.warnings is not None:
            issue = Issue("value", f"{what} (FHIRPath, character {at_ + 1}).", severity="warning")
            if issue not in self.warnings:
                self.warnings.append(issue)

    def _indexed(self, found: Value | Empty, index: t.Node, this: Value) -> Result:
        place = self.one(index, this, "[]")
        if isinstance(found, Empty) or isinstance(place, Empty):
            return EMPTY
        if place.type not in {"Integer", "integer", "positiveInt", "unsignedInt"}:
            raise wrong_path("In [] there must be an integer", index.at)
        if not found.many:
            return restricted(found, sql_fn("=", place.sql, Constant(0)))
        return replace(found, sql=at(found.sql, place.sql), many=False)

    def of_type(self, found: Result, name: str, at_: int) -> Result:
        """The items that are of a type, or of a kind of it."""
        wanted = type_called(name, at_)
        match found:
            case Empty():
                return found
            case Choice(options):
                fitting = [kind for kind in options if _is(kind, wanted)]
                exactly = [kind for kind in fitting if kind == wanted] or fitting
                if not exactly:
                    self._warn(f"The choice has no type {name}", at_)
                    return Empty(many=found.many)
                if len(exactly) > 1:
                    raise wrong_path(f"Several types of the choice are a kind of {name}: say which", at_)
                return options[exactly[0]]()
            case Value(type="Resource"):
                return self._of_resource_type(found, wanted)
            case Value(type=kind):
                return found if _is(kind, wanted) else Empty(many=found.many)

    def _of_resource_type(self, found: Value, wanted: str) -> Result:
        def step(one: Value) -> Result:
            return restricted(replace(one, type=wanted), resource_type_is(one, wanted))

        return mapped(self.names, found, step) if wanted in resource_types() else Empty(many=found.many)

    def is_type(self, found: Result, name: str, at_: int) -> Result:
        """Whether the one item is of a type."""
        wanted = type_called(name, at_)
        if isinstance(found, Empty):
            return EMPTY
        if isinstance(found, Choice):
            if found.many:
                raise unsupported("'is' of a list with a choice of types is not compiled to SQL", at_)
            options = [option() for kind, option in found.options.items() if _is(kind, wanted)]
            test = sql_fn("or", *map(exists, options)) if options else Constant(value=False)
            return boolean(when(exists(found), test))
        single = only(found, f"'is' takes one item, and there are several (FHIRPath, character {at_ + 1}).")
        held = (
            resource_type_is(single, wanted)
            if single.type == "Resource"
            else Constant(_is(single.type, wanted))
        )
        return boolean(when(exists(single), held))

    def _called(self, node: t.Call, this: Value) -> Result:
        entry = FUNCTIONS.get(node.name)
        if entry is None:
            raise unsupported(f"There is no function {node.name}() that is compiled to SQL", node.at)
        least, most, function = entry
        if not least <= len(node.arguments) <= most:
            raise wrong_path(f"{node.name}() does not take {len(node.arguments)} arguments", node.at)
        return function(self, node, this)

    def base(self, node: t.Call, this: Value) -> Result:
        """What a function is called on."""
        return this if node.base is None else self.result(node.base, this)

    def base_value(self, node: t.Call, this: Value) -> Value | Empty:
        """The same, of one type."""
        return this if node.base is None else self.value(node.base, this)

    def filtered(self, found: Result, test: Callable[[Value], Sql], at_: int) -> Result:
        """The items for which a test holds."""
        match found:
            case Empty():
                return found
            case Choice(options):
                return self._filtered_choice(found, options, test, at_)
            case Value():
                return mapped(self.names, found, lambda one: restricted(one, test(one)))

    def _filtered_choice(
        self,
        choice: Choice,
        options: Mapping[str, Callable[[], Value | Empty]],
        test: Callable[[Value], Sql],
        at_: int,
    ) -> Result:
        kept = {kind: partial(self._kept, option, test, at_) for kind, option in options.items()}
        return Choice(
            kept, lambda: sql_fn("or", *(exists(option()) for option in kept.values())), choice.many
        )

    def _kept(
        self, option: Callable[[], Value | Empty], test: Callable[[Value], Sql], at_: int
    ) -> Value | Empty:
        kept = self.filtered(option(), test, at_)
        return EMPTY if isinstance(kept, Choice) else kept

    def listed(self, found: Value | Empty) -> Sql:
        """The items as a list."""
        return as_list(found)

    def each(self, found: Result, step: Callable[[Value], Result], at_: int) -> Result:
        """What a step gives for each item."""
        if isinstance(found, Choice):
            found = self.settled(found, at_)
        if isinstance(found, Empty):
            return found
        if not found.many:
            return self._if_there(found, step(found))
        name = self.names.new()
        return gathered(found.sql, name, step(replace(found, sql=Var(name), many=False)))

    def _if_there(self, found: Value, stepped: Result) -> Result:
        """`select` of nothing is nothing, even where the projection is a literal."""
        if not isinstance(stepped, Value) or isinstance(stepped.sql, Row):
            return stepped
        return replace(stepped, sql=when(exists(found), stepped.sql))


_SETTLED = 12
"""A choice of more types than this is never settled by itself."""


def type_called(name: str, at_: int) -> str:
    """The type of a name as written; raises OutcomeError(invalid) for none."""
    known = known_type(name)
    if known is None:
        raise wrong_path(f"There is no type {name}", at_)
    is_fhir, is_system, bare = known
    return bare if is_fhir or not is_system else f"System.{bare}"


def _is(kind: str, wanted: str) -> bool:
    return f"System.{kind}" == wanted if wanted.startswith("System.") else is_kind_of(kind, wanted)


def literal(node: t.Literal) -> Value:
    """A literal as a value."""
    match node.type:
        case "Boolean":
            return boolean(Constant(node.value))
        case "Integer" | "Long":
            return integer(Constant(node.value))
        case "Decimal":
            return decimal(Constant(node.value))
        case kind:
            return text(Constant(node.value), kind)
