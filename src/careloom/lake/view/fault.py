"""lake.view.fault: how a view that cannot be compiled is refused: the place in the JSON, the place in the path.

Room: lake. May import: fhir.outcome. Texts hold what the author of the view wrote, never a value of a resource.
"""

from __future__ import annotations

from careloom.fhir.outcome import Issue, IssueCode, OutcomeError

MARK = "ViewDefinition: "
"""Begins each error that a running query raises by itself, so that it is known again among those of the engine."""


def refused(text: str, place: str, code: IssueCode = "invalid") -> OutcomeError:
    """The view is wrong at a place of its JSON."""
    return OutcomeError(Issue(code, text, place))


def wrong_path(text: str, at: int, code: IssueCode = "invalid") -> OutcomeError:
    """The path is wrong at a character; lake.view.plan adds the place in the JSON."""
    return OutcomeError(Issue(code, f"{text} (FHIRPath, character {at + 1})."))


def unsupported(text: str, at: int) -> OutcomeError:
    """The path says something that is not compiled to SQL."""
    return wrong_path(text, at, "not-supported")


def placed(error: OutcomeError, place: str) -> OutcomeError:
    """The same error, with the place in the JSON."""
    return OutcomeError(*(Issue(issue.code, issue.text, issue.expression or place) for issue in error.issues))
