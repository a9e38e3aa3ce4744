"""fhir.searchvalue: the elements that a search expression yields which is more than paths, by evaluating it.

Room: fhir. May import: fhir.path. Standard: https://hl7.org/fhir/R4/searchparameter.html
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from careloom.fhir.outcome import OutcomeError
from careloom.fhir.path.compiled import compile as compiled
from careloom.fhir.path.temporal import Temporal
from careloom.fhir.path.value import Node, Quantity, json_value
from careloom.fhir.resource import Resource


def evaluated(resource: Resource, expression: str) -> list[tuple[str, Any]]:
    """(type, value) of each item; none where the expression cannot be evaluated on this resource.

    >>> evaluated({"resourceType": "Patient", "name": [{"given": ["A", "B"]}]}, "Patient.name.given.count()")
    [('integer', 2)]
    """
    try:
        items = compiled(expression).nodes(resource)
    except OutcomeError:
        return []
    return [(_type(item), value) for item in items if (value := json_value(item)) is not None]


def _type(item: Any) -> str:
    match item:
        case Node():
            return item.type
        case bool():
            return "boolean"
        case int():
            return "integer"
        case Decimal():
            return "decimal"
        case Temporal():
            return {"Date": "date", "DateTime": "dateTime"}.get(item.kind, "time")
        case Quantity():
            return "Quantity"
        case _:
            return "string"
