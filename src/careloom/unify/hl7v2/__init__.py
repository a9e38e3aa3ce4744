"""unify.hl7v2: HL7 v2 messages to FHIR R4 resources, driven by the tables in `tables/`, with a ledger of every field."""

from __future__ import annotations
