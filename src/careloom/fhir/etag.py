"""fhir.etag: a version of a resource as an entity tag, for ETag, If-Match, If-None-Match and their kin in bundles.

Room: fhir. Standards: https://hl7.org/fhir/R4/http.html#versioning and RFC 9110, section 8.8.3
"""

from __future__ import annotations

import re

from careloom.fhir.outcome import Issue, OutcomeError

_TAG = re.compile(r'(?:W/)?"?(\d{1,9})"?', re.ASCII)


def etag(version: int) -> str:
    """The entity tag of a version.

    >>> etag(3)
    'W/"3"'
    """
    return f'W/"{version}"'


def version_in(text: str) -> int | None:
    """The version that an If-Match names; None where there is none. Raises OutcomeError(invalid).

    >>> version_in('W/"3"'), version_in("")
    (3, None)
    """
    if not text.strip():
        return None
    match = _TAG.fullmatch(text.strip())
    if match is None:
        raise OutcomeError(Issue("invalid", 'If-Match must be a version, as in W/"3".'))
    return int(match[1])
