"""fhir.profile.package: the definitions in the package of an implementation guide.

Room: fhir. May import: fhir.outcome, fhir.resource. Standard: https://hl7.org/fhir/packages.html

A package is a .tgz with one resource to a file; a Bundle or a single definition as JSON will do as well.
"""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

from careloom.fhir.outcome import Issue, OutcomeError

Resource = dict[str, Any]
WANTED = frozenset({"StructureDefinition", "ValueSet", "CodeSystem"})
_GZIP = b"\x1f\x8b"


def definitions(raw: bytes) -> list[Resource]:
    """The StructureDefinitions, ValueSets and CodeSystems of a package. Raises OutcomeError where it is none.

    >>> definitions(b'{"resourceType": "ValueSet", "url": "urn:v"}')
    [{'resourceType': 'ValueSet', 'url': 'urn:v'}]
    """
    try:
        texts = _files(raw) if raw.startswith(_GZIP) else [raw]
        return [one for text in texts for one in _wanted(json.loads(text))]
    except (ValueError, RecursionError, tarfile.TarError, EOFError, OSError):
        raise OutcomeError(Issue("structure", "This is neither a FHIR package (.tgz) nor JSON.")) from None


def _files(raw: bytes) -> list[bytes]:
    found: list[bytes] = []
    with tarfile.open(fileobj=io.BytesIO(raw), mode="r:gz") as archive:
        for member in archive:
            parts = member.name.split("/")
            # Folders below `package` hold examples and what the publisher's tools left.
            is_definition = len(parts) == 2 and parts[1].split("-")[0] in WANTED  # noqa: PLR2004 package/file
            content = archive.extractfile(member) if is_definition and parts[1].endswith(".json") else None
            if content is not None:
                found.append(content.read())
    return found


def _wanted(resource: Any) -> list[Resource]:
    if type(resource) is not dict:
        return []
    if resource.get("resourceType") == "Bundle":
        return [one for entry in resource.get("entry", ()) for one in _wanted(entry.get("resource"))]
    return [resource] if resource.get("resourceType") in WANTED and "url" in resource else []
