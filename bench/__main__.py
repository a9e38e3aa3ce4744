"""Run benches one after the other, each in a process of its own, so that none warms another's caches."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main(names: list[str]) -> int:
    known = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"No bench is called {', '.join(unknown)}. There are: {', '.join(known)}.")
        return 2
    status = 0
    for name in names or known:
        print(f"== {name}", flush=True)
        status |= subprocess.run([sys.executable, HERE / f"bench_{name}.py"], check=False).returncode
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
