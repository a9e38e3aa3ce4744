"""web: HTTP and pages; the only room that knows either."""

from __future__ import annotations
