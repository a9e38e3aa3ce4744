"""store: the operational store in PostgreSQL: events, resources, history, search, feed, audit."""

from __future__ import annotations
