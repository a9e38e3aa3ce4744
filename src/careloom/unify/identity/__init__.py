"""unify.identity: which Patients of which systems are one person: a derived Person over source Patients."""

from __future__ import annotations
