"""analyze: what is known to what it means: scores, models, forecasts."""

from __future__ import annotations
