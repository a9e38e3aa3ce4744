"""fhir.content: FHIR bytes as they came, read whatever their form: JSON stays as it is, XML becomes JSON.

Room: fhir. May import: fhir.xml, fhir.resource. Standard: https://hl7.org/fhir/R4/formats.html
"""

from __future__ import annotations

from careloom.fhir import xml
from careloom.fhir.resource import dumps

_XML_MARKS = (b"<", b"\xff\xfe<", b"\xfe\xff\0<")
_BLANK = b"\xef\xbb\xbf \t\r\n"


def is_xml(raw: bytes, media: str = "") -> bool:
    """Whether this is XML: no JSON begins as XML does.

    >>> is_xml(b" <Patient/>"), is_xml(b'{"a":"<"}'), is_xml(b"?", "application/fhir+xml; charset=utf-8")
    (True, False, True)
    """
    head = raw[:64].lstrip(_BLANK)
    return head.startswith(_XML_MARKS) or ("xml" in media.partition(";")[0] and not head.startswith(b"{"))


def as_json(raw: bytes, media: str = "") -> bytes:
    """The bytes, as JSON. Raises OutcomeError(structure) for XML that is not well-formed or no FHIR.

    >>> as_json(b'<Basic xmlns="http://hl7.org/fhir"><id value="7"/></Basic>')
    b'{"resourceType":"Basic","id":"7"}'
    """
    return dumps(xml.loads(raw)) if is_xml(raw, media) else raw
