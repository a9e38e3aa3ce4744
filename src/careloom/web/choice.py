"""web.choice: one entry of a select or a list of names: what is sent, and what is read.

Room: web.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Choice:
    """`value` travels in the form; `title` stands on the page."""

    value: str
    title: str
