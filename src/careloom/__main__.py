"""`python -m careloom` is the careloom command."""

from __future__ import annotations

from careloom.cli import main

main()
