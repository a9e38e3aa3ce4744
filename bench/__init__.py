"""bench: what is claimed to be fast, measured; `make bench` runs all, `python -m bench NAME` one."""

from __future__ import annotations
