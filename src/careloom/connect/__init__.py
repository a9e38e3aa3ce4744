"""connect: bytes in, bytes out: the only room that speaks to other systems."""

from __future__ import annotations
