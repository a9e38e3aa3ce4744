"""Whatever fails, and whoever speaks, a log line holds the kind and the place, never the words of an error."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import asyncio, logging, sys, threading
from careloom.logs import configure
configure("debug")
NAME = "Zyx" + "quorth"
def fails(): raise ValueError(NAME)
thread = threading.Thread(target=fails); thread.start(); thread.join()
class Unraisable:
    def __del__(self): fails()
Unraisable()
logging.getLogger("uvicorn.error").error("Exception in ASGI application\\n", exc_info=ValueError(NAME))
logging.getLogger("uvicorn.error").error(OSError(98, "Address already in use"))
logging.getLogger("uvicorn.error").warning("Invalid request for %s", NAME)
logging.getLogger("somebody").error(f"About {NAME}")
async def forgotten(): asyncio.get_running_loop().create_task(failing()); await asyncio.sleep(0.01)
async def failing(): fails()
asyncio.run(forgotten())
import warnings; warnings.warn(NAME)
fails()
"""


def test_no_way_of_failing_tells_more_than_kind_and_place() -> None:
    result = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    said = result.stdout + result.stderr
    assert result.returncode == 1
    assert "Zyxquorth" not in said
    assert "Traceback" not in said
    assert said.count("ValueError at <string>:") == 4, said
    for kept in (
        "Exception in ASGI application",
        "Address already in use",
        "Invalid request for",
        "somebody",
    ):
        assert kept in said, said
