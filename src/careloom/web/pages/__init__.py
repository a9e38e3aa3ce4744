"""web.pages: one file for each page: it reads, shapes a plain view, and shows a template."""

from __future__ import annotations
