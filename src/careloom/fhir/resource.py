"""fhir.resource: a FHIR resource is plain JSON with a resourceType; here it is read and written.

Room: fhir. May import: fhir.outcome. Standard: https://hl7.org/fhir/R4/json.html

Decimals are `decimal.Decimal`, so that 1.50 stays 1.50 (R4 says that precision must be kept).
"""

from __future__ import annotations

import gc
import re
from decimal import Decimal
from typing import Any

import msgspec

from careloom.fhir.outcome import Issue, OutcomeError

Resource = dict[str, Any]

_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*"(:?)')
_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")


class Head(msgspec.Struct):
    """What stands first in a resource; what it lacks is ""."""

    resourceType: str = ""  # noqa: N815 the name in JSON
    id: str = ""


_head_decoder = msgspec.json.Decoder(Head)


def head_of(raw: bytes) -> Head:
    """Type and id, without reading the rest. Raises msgspec.DecodeError (its ValidationError where it is no resource).

    >>> head_of(b'{"resourceType":"Basic","id":"7","code":{}}')
    Head(resourceType='Basic', id='7')
    """
    return _head_decoder.decode(raw)


def loads(raw: bytes | str) -> Any:
    """Read JSON; decimals keep their digits. Raises OutcomeError(structure) that names the position.

    >>> loads(b'{"value": 1.50}')
    {'value': Decimal('1.50')}
    """
    try:
        return _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise OutcomeError(Issue("structure", f"The body is not JSON: {error}")) from None


REPEATED = "An object names a member twice: the names of members are unique (R4 json)."


def has_repeated_keys(raw: bytes, value: Any) -> bool:
    r"""Whether an object in this JSON, without white space between tokens, names a member twice; `value` is what was read.

    Of two members of one name a reader takes the last: what the first said would be lost without a word.

    >>> has_repeated_keys(b'{"a":1,"a":2}', {"a": 2}), has_repeated_keys(b'{"a":{"b":"\\":"}}', {"a": {"b": '":'}})
    (True, False)
    """
    count, waiting = 0, [value]
    while waiting:
        one = waiting.pop()
        if type(one) is dict:
            count += len(one)
            waiting += one.values()
        elif type(one) is list:
            waiting += one
    # A quote and a colon end the name of a member; within a text the quote is escaped.
    return raw.count(b'":') > count and _TEXT.findall(raw).count(b":") > count


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
        # The formatter lets any bytes through within strings; JSON is UTF-8 (RFC 8259, 8.1), and so is all that is kept.
        str(raw, "utf-8")
        return msgspec.json.format(raw, indent=-1)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise OutcomeError(Issue("structure", f"The body is not JSON: {error}")) from None


def calm_collector() -> None:
    """Tell Python's cyclic collector to come seldom, in a process that reads resources all day.

    What is read from JSON holds no cycles: it is freed without the collector, which would only walk over it.
    """
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


def reference_to(resource: Resource) -> str:
    """The relative reference of a resource.

    >>> reference_to({"resourceType": "Patient", "id": "7"})
    'Patient/7'
    """
    return f"{resource['resourceType']}/{resource['id']}"
