"""fhir: the language of the house: resources, outcomes, validation, search parameters. Pure; no I/O."""

from __future__ import annotations
