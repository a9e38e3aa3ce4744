"""fhir.r4: facts of R4 (4.0.1), generated from the published definitions; never edited."""

from __future__ import annotations
