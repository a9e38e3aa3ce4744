"""fhir.outcome: how anything that goes wrong is said (OperationOutcome).

Room: fhir. May import: the standard library only. Standard: https://hl7.org/fhir/R4/operationoutcome.html

What inspects returns Issues; what cannot do its work raises OutcomeError. A text says what is wrong, where,
and what to do, and never holds a patient's value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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

STATUS: dict[IssueCode, int] = {
    "invalid": 400,
    "structure": 400,
    "required": 400,
    "value": 400,
    "invariant": 422,
    "code-invalid": 422,
    "business-rule": 422,
    "processing": 422,
    "security": 403,
    "login": 401,
    "forbidden": 403,
    "not-supported": 400,
    "not-found": 404,
    "deleted": 410,
    "duplicate": 409,
    "conflict": 412,
    "lock-error": 503,
    "multiple-matches": 412,
    "too-long": 413,
    "too-costly": 422,
    "throttled": 429,
    "exception": 500,
    "transient": 503,
    "incomplete": 503,
    "timeout": 503,
    "no-store": 507,
    "informational": 500,
}
"""What a failed request answers, by the code of its first error (https://hl7.org/fhir/R4/http.html#Status-Codes).

400: it cannot be read, or is no FHIR; 422: it is FHIR, and breaks a rule; 412: the version or the condition that the
client named does not hold (R4 http, 3.1.0.5: not 409).
"""


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


NUL = "\0"


def refuse_nul(*texts: str) -> None:
    """Raise OutcomeError(value) for a text with U+0000, which no string of FHIR holds and no store keeps.

    Asked where texts come in that no validator sees: addresses, conditions, parameters, forms.

    >>> refuse_nul("a", "b")
    """
    for text in texts:
        if NUL in text:
            raise OutcomeError(Issue("value", "The character U+0000 stands in no text of FHIR."))


def status_of(issues: Sequence[Issue]) -> int:
    """The HTTP status of what went wrong: the first error decides.

    >>> status_of([Issue("informational", "By the way.", severity="information"), Issue("deleted", "Gone.")])
    410
    """
    errors = [issue for issue in issues if issue.is_error]
    return STATUS[(errors or list(issues))[0].code] if issues else 500


OUR_FAULT = 500
"""The first status that says so."""


def our_fault(issues: Sequence[Issue]) -> str:
    """What is no fault of the client, for a line in a log: its codes and never its words; "" if it is the client's.

    >>> our_fault([Issue("timeout", "Too slow.")]), our_fault([Issue("deleted", "Gone.")])
    ('timeout', '')
    """
    return ",".join(sorted({issue.code for issue in issues})) if status_of(issues) >= OUR_FAULT else ""


def operation_outcome(issues: Iterable[Issue]) -> dict[str, Any]:
    """The OperationOutcome resource that says these issues."""
    return {"resourceType": "OperationOutcome", "issue": [_element(issue) for issue in issues]}


def _element(issue: Issue) -> dict[str, Any]:
    element: dict[str, Any] = {"severity": issue.severity, "code": issue.code, "diagnostics": issue.text}
    if issue.expression:
        element["expression"] = [issue.expression]
    return element
