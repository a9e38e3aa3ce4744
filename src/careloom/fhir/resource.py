"""fhir.resource: a FHIR resource is plain JSON with a resourceType; here it is read and written.

Room: fhir. May import: fhir.outcome. Standard: https://hl7.org/fhir/R4/json.html

Decimals are `decimal.Decimal`, so that 1.50 stays 1.50 (R4 says that precision must be kept).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from careloom.fhir.outcome import Issue, OutcomeError

Resource = dict[str, Any]

_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")


def loads(raw: bytes | str) -> Any:
    """Read JSON; decimals keep their digits. Raises OutcomeError(structure) that names the position.

    >>> loads(b'{"value": 1.50}')
    {'value': Decimal('1.50')}
    """
    try:
        return _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise OutcomeError(Issue("structure", f"The body is not JSON: {error}")) from None


def dumps(resource: Any) -> bytes:
    """Write compact JSON; a Decimal is written as a number with its own digits.

    >>> dumps({"value": Decimal("1.50")})
    b'{"value":1.50}'
    """
    return _encoder.encode(resource)


def minify(raw: bytes) -> bytes:
    """Strip white space between tokens and nothing else: the digits of numbers stay as they came.

    >>> minify(b'{ "value": 1.50 }')
    b'{"value":1.50}'
    """
    try:
        return msgspec.json.format(raw, indent=-1)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise OutcomeError(Issue("structure", f"The body is not JSON: {error}")) from None


def reference_to(resource: Resource) -> str:
    """The relative reference of a resource.

    >>> reference_to({"resourceType": "Patient", "id": "7"})
    'Patient/7'
    """
    return f"{resource['resourceType']}/{resource['id']}"
