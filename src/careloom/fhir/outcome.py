"""fhir.outcome: how anything that goes wrong is said (OperationOutcome).

Room: fhir. May import: the standard library only. Standard: https://hl7.org/fhir/R4/operationoutcome.html

What inspects returns Issues; what cannot do its work raises OutcomeError. A text says what is wrong, where,
and what to do, and never holds a patient's value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

IssueCode = Literal[
    "invalid",
    "structure",
    "required",
    "value",
    "invariant",
    "code-invalid",
    "security",
    "login",
    "forbidden",
    "processing",
    "not-supported",
    "duplicate",
    "multiple-matches",
    "not-found",
    "deleted",
    "too-long",
    "too-costly",
    "business-rule",
    "conflict",
    "transient",
    "lock-error",
    "no-store",
    "exception",
    "timeout",
    "throttled",
    "incomplete",
    "informational",
]
Severity = Literal["fatal", "error", "warning", "information"]


@dataclass(frozen=True, slots=True)
class Issue:
    """One OperationOutcome.issue; `expression` is a FHIRPath or an HL7 v2 field (PID-5), never a value."""

    code: IssueCode
    text: str
    expression: str = ""
    severity: Severity = "error"

    @property
    def is_error(self) -> bool:
        """True if work cannot go on with it; a warning or information stands beside work that was done.

        >>> Issue("value", "Odd.", severity="warning").is_error
        False
        """
        return self.severity in {"error", "fatal"}


class OutcomeError(Exception):
    """Work cannot go on; carries the issues that say why.

    >>> str(OutcomeError(Issue("not-found", "No such Patient.")))
    'No such Patient.'
    """

    def __init__(self, *issues: Issue) -> None:
        self.issues = issues
        super().__init__(" ".join(issue.text for issue in issues))


def operation_outcome(issues: Iterable[Issue]) -> dict[str, Any]:
    """The OperationOutcome resource that says these issues."""
    return {"resourceType": "OperationOutcome", "issue": [_element(issue) for issue in issues]}


def _element(issue: Issue) -> dict[str, Any]:
    element: dict[str, Any] = {"severity": issue.severity, "code": issue.code, "diagnostics": issue.text}
    if issue.expression:
        element["expression"] = [issue.expression]
    return element
