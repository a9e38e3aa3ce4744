"""demo: the synthetic hospital; it speaks to careloom only through the front doors."""

from __future__ import annotations
