"""store.commit: the only writer of resources.

Room: store. Imported by flow only."""

from __future__ import annotations
