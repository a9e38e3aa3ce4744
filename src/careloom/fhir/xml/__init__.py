"""fhir.xml: the XML form of resources: read to what fhir.resource.loads gives, and written from it.

Room: fhir. Standard: https://hl7.org/fhir/R4/xml.html

    from careloom.fhir import xml
    resource = xml.loads(body)
    body = xml.dumps(resource, pretty=True)
"""

from __future__ import annotations

from careloom.fhir.xml.read import loads
from careloom.fhir.xml.write import dumps

MEDIA_TYPE = "application/fhir+xml"
"""The media type of R4; application/xml and text/xml are taken too where a client names them."""

__all__ = ["MEDIA_TYPE", "dumps", "loads"]
