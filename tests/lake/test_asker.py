"""The process that runs statements leaves by itself."""

from __future__ import annotations

import subprocess
import sys

from tests.waiting import WAIT_S

IDLE = "from careloom.lake import asker; asker.IDLE_S = 0.1; asker.main()"


def test_who_was_asked_nothing_for_long_leaves_in_peace_while_its_input_is_open() -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", IDLE], stdin=pipe, stdout=pipe, stderr=pipe) as process:
        try:
            assert process.wait(WAIT_S) == 0
            assert process.stderr
            assert process.stderr.read() == b""
        finally:
            process.kill()
