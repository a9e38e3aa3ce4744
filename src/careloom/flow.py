"""flow: the loop: the only caller of rooms and the only committer."""

from __future__ import annotations
