"""act: changes to what shall happen: tasks, flags, messages."""

from __future__ import annotations
