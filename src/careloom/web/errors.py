"""web.errors: the only place where an issue code becomes an HTTP status.

Room: web. May import: fhir. Standard: https://hl7.org/fhir/R4/http.html#Status-Codes and
https://hl7.org/fhir/R4/valueset-issue-type.html
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from careloom.fhir.outcome import Issue, IssueCode, operation_outcome
from careloom.fhir.resource import dumps

FHIR_JSON = "application/fhir+json"

STATUS: dict[IssueCode, int] = {
    "invalid": 400,
    "structure": 400,
    "required": 422,
    "value": 422,
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
    "conflict": 409,
    "lock-error": 412,
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
"""What a failed request answers, by the code of its first error."""


def status_of(issues: Sequence[Issue]) -> int:
    """The HTTP status of what went wrong: the first error decides.

    >>> status_of([Issue("informational", "By the way.", severity="information"), Issue("deleted", "Gone.")])
    410
    """
    errors = [issue for issue in issues if issue.is_error]
    return STATUS[(errors or list(issues))[0].code] if issues else 500


def outcome(issues: Sequence[Issue], status: int = 0) -> Response:
    """The answer of a FHIR road that could not do its work: an OperationOutcome."""
    code = status or status_of(issues)
    answer = Response(dumps(operation_outcome(issues)), code, media_type=FHIR_JSON)
    if code == 401:  # noqa: PLR2004 (RFC 9110, 11.6.1: a 401 names its scheme)
        answer.headers["WWW-Authenticate"] = 'Bearer realm="careloom"'
    return answer


TITLES = {
    400: "That request cannot be read",
    401: "Sign in first",
    403: "Your role may not see this",
    404: "There is no such page",
    405: "That cannot be done here",
    409: "Somebody was faster",
    410: "This was deleted",
    412: "Somebody was faster",
    413: "That is too large",
    422: "That cannot be done as asked",
    429: "Too many tries",
    500: "Something went wrong on our side",
    503: "Not available at this moment",
    507: "The disk is full",
}


def title_of(status: int) -> str:
    """The headline of an error page."""
    return TITLES.get(status, TITLES[500])
