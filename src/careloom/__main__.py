"""`python -m careloom` is the careloom command."""

from __future__ import annotations

from careloom.cli import main

if __name__ == "__main__":
    # A process that `careloom load` spawns imports this file under another name.
    main()
