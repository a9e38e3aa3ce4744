"""web.rest.operations.viewdefinition_run: $viewdefinition-run: the longer name of $run, also without a type before it.

Room: web. Standard: https://sql-on-fhir.org/ig/OperationDefinition-ViewDefinitionRun.html
"""

from __future__ import annotations

from dataclasses import replace

from starlette.responses import Response

from careloom.web.call import Call
from careloom.web.rest.operations import run

OPERATION = replace(
    run.OPERATION,
    levels=("system", "type", "instance"),
    definition="http://sql-on-fhir.org/OperationDefinition/$viewdefinition-run",
)


def viewdefinition_run(call: Call) -> Response:
    """As $run."""
    return run.run(call)
