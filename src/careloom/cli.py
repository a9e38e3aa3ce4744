"""cli: the careloom command."""

from __future__ import annotations
