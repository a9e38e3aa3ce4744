"""store.migrations: numbered SQL files, each applied once and never edited after. store.database applies them."""

from __future__ import annotations
