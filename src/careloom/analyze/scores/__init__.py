"""analyze.scores: published clinical scores, each one file with its bands as data."""

from __future__ import annotations
