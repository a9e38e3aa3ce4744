"""unify: events to resources; many patients to one person."""

from __future__ import annotations
