"""fhir.path.compiled: an expression ready to be evaluated on any number of resources.

Room: fhir. May import: fhir.path.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, DecimalException
from functools import lru_cache
from typing import Any

from careloom.fhir.path.arguments import FALSE, TRUE, boolean
from careloom.fhir.path.check import check
from careloom.fhir.path.compiler import closure
from careloom.fhir.path.env import NO_VARIABLES, NOTHING, Context, Env
from careloom.fhir.path.fault import execution_error, too_costly
from careloom.fhir.path.function import Constant, Eval
from careloom.fhir.path.parser import parse
from careloom.fhir.path.tree import Node as Tree
from careloom.fhir.path.types import resource_node
from careloom.fhir.path.value import Collection, Node, Want, json_value

_PLAIN = Context()
_AS_JSON = frozenset({str, bool, int, Decimal, dict})
"""Types whose values are JSON already."""


def _as_json(item: Any) -> Any:
    return item.value if type(item) is Node else json_value(item)


def _evaluated(run: Eval, resource: Any, context: Context | None, kind: str = "") -> Collection:
    context = context or _PLAIN
    root = resource if type(resource) is Node else Node(resource, kind) if kind else resource_node(resource)
    try:
        return run(Env(context, root, context.max_steps, NOTHING, NOTHING, NO_VARIABLES), [root])
    except RecursionError:
        raise too_costly("The FHIRPath expression or the resource is nested too deeply.") from None
    except DecimalException:
        raise execution_error("A number is out of the range that can be calculated with") from None


class Compiled:
    """A compiled expression; `tree` is what it was compiled from."""

    __slots__ = ("_json", "_run", "_truth", "text", "tree")

    def __init__(self, tree: Tree, text: str = "") -> None:
        self.text = text
        self.tree = tree
        self._run = closure(tree)
        # The same for who wants less of the items; compiled when the first one does.
        self._json: Eval | None = None
        self._truth: Eval | None = None

    def __call__(self, resource: Any, context: Context | None = None, **variables: Any) -> list[Any]:
        """The values found, as JSON; `variables` are `%name`s. Raises OutcomeError(processing or too-costly).

        >>> compile("name.given | name.family")({"resourceType": "Patient", "name": [{"given": ["A"], "family": "B"}]})
        ['A', 'B']
        """
        if variables:
            context = context or _PLAIN
            context = replace(context, variables={**context.variables, **variables})
        run = self._json
        if run is None:
            run = self._json = closure(self.tree, Want.JSON)
        items = _evaluated(run, resource, context)
        if not items or items is TRUE or items is FALSE:
            return list(items)
        return [
            value
            for item in items
            if (value := item if type(item) in _AS_JSON else _as_json(item)) is not None
        ]

    def nodes(self, resource: Any, context: Context | None = None, *, type: str = "") -> Collection:  # noqa: A002
        """The items found, typed: System values and Nodes, which say where they stand.

        `resource` is a resource or, if `type` says its type or path ("HumanName", "Patient.contact"), any element; a
        Node is taken as it is, with the id and extensions beside a primitive.
        """
        if isinstance(self._run, Constant):
            return list(self._run.value)
        return list(_evaluated(self._run, resource, context, type))

    def holds(self, resource: Any, context: Context | None = None, *, type: str = "") -> bool:  # noqa: A002
        """Whether the expression is true; nothing counts as false."""
        run = self._truth
        if run is None:
            run = self._truth = closure(self.tree, Want.VALUES)
        return boolean(_evaluated(run, resource, context, type)) is True

    def __repr__(self) -> str:
        """The text that was compiled."""
        return f"Compiled({self.text!r})"


@lru_cache(maxsize=4096)
def compile(text: str, *, of: str = "") -> Compiled:  # noqa: A001 - as in re.compile
    """Compile an expression, once for each text; raises OutcomeError(invalid, too-costly).

    `of` is the type that it is for: an element that this type does not have is then an error too.

    >>> compile("1 + 1")(None)
    [2]
    """
    tree = parse(text)
    if of:
        check(tree, of)
    return Compiled(tree, text)


def of_tree(tree: Tree) -> Compiled:
    """Compile a part of what was parsed, or a tree that was made otherwise."""
    return Compiled(tree)
