"""verify: every claim measured again, by name."""

from __future__ import annotations
