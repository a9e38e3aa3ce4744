"""fhir.etag: a version of a resource as an entity tag, for ETag, If-Match, If-None-Match and their kin in bundles.

Room: fhir. Standards: https://hl7.org/fhir/R4/http.html#versioning and RFC 9110, section 8.8.3
"""

from __future__ import annotations

import re
from collections.abc import Collection

from careloom.fhir.outcome import Issue, OutcomeError

_TAG = re.compile(r'(?:W/)?"?(\d{1,9})"?', re.ASCII)
ANY_VERSION = range(1, 10**9)
"""What `*` names: whatever stands."""


def etag(version: int) -> str:
    """The entity tag of a version.

    >>> etag(3)
    'W/"3"'
    """
    return f'W/"{version}"'


def versions_in(text: str) -> Collection[int] | None:
    """The versions that an If-Match names, one of which must stand; None where it says nothing. Raises OutcomeError(invalid).

    >>> versions_in('W/"3"'), versions_in('W/"3", "4"'), versions_in("*") == ANY_VERSION, versions_in("")
    ((3,), (3, 4), True, None)
    """
    if not text.strip():
        return None
    if text.strip() == "*":
        return ANY_VERSION
    found = [_TAG.fullmatch(one.strip()) for one in text.split(",")]
    if None in found:
        raise OutcomeError(Issue("invalid", 'If-Match must be a version, as in W/"3".'))
    return tuple(int(one[1]) for one in found if one is not None)
