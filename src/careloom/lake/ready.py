"""lake.ready: the views that come with careloom: ViewDefinitions as files in lake/views.

Room: lake. May import: fhir. A file is named as its view: views/patient.json.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import loads


@cache
def ready_views() -> tuple[str, ...]:
    """The names of all ready views.

    >>> "patient" in ready_views()
    True
    """
    names = (each.name for each in resources.files("careloom.lake").joinpath("views").iterdir())
    return tuple(sorted(name.removesuffix(".json") for name in names if name.endswith(".json")))


def ready_view(name: str) -> Any:
    """A ViewDefinition as JSON. Raises OutcomeError(not-found)."""
    if name not in ready_views():
        raise OutcomeError(Issue("not-found", f"No ready view is called '{name[:64]}'."))
    return loads(resources.files("careloom.lake").joinpath("views", f"{name}.json").read_bytes())
