"""lake.view.check: whether a ViewDefinition can be run here, and if not, where it is wrong and why.

Room: lake. May import: lake.view, fhir.outcome.
"""

from __future__ import annotations

from dataclasses import replace

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import Resource
from careloom.lake.view.statement import compile_view


def faults(definition: Resource) -> list[Issue]:
    """What keeps it from being compiled, with the place in the JSON and the character in the path; and what is odd about it.

    Whatever is wrong has the code `processing`: it is FHIR and can be read, and cannot be run (422).

    >>> [issue.expression for issue in faults({"resource": "Patient", "select": [{"column": [{"name": "a", "path": "("}]}]})]
    ['ViewDefinition.select[0].column[0].path']
    """
    try:
        statement = compile_view(definition)
        statement.sql("duckdb")
    except OutcomeError as error:
        return [replace(issue, code="processing") for issue in error.issues]
    except RecursionError:
        return [Issue("too-costly", "The view is nested too deeply.", "ViewDefinition.select")]
    return list(statement.warnings)
