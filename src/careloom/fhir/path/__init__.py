"""fhir.path: FHIRPath N1: text to a tree (`parse`).

Room: fhir. Standard: http://hl7.org/fhirpath/N1/ and https://hl7.org/fhir/R4/fhirpath.html

    from careloom.fhir.path import parse
    tree = parse("name.where(use = 'official').given.first()")

The tree (path.tree) holds no evaluation, so that other compilers can start from it.
"""

from __future__ import annotations

from careloom.fhir.path.parser import parse

__all__ = ["parse"]
