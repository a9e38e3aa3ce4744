"""A worker leaves when it is told to, whichever of its threads the signal met."""

from __future__ import annotations

import subprocess
import sys

WORKER = """
import signal, threading, time
from careloom.cli.worker import told_to_leave

leaving = told_to_leave()
def told():
    time.sleep(0.2)  # until the main thread waits
    signal.pthread_kill(threading.get_ident(), signal.{signal})
    threading.Event().wait()
threading.Thread(target=told, daemon=True).start()
leaving.wait()
print("left")
"""


def test_a_signal_that_meets_another_thread_is_heard() -> None:
    for name in ("SIGTERM", "SIGINT"):
        said = subprocess.run(
            [sys.executable, "-c", WORKER.format(signal=name)],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        assert said.stdout == "left\n"
