"""fhir.added: facts of the types that R4 does not have, generated from scripts/added; never edited."""

from __future__ import annotations
