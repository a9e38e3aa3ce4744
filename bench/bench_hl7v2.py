"""bench_hl7v2: what one HL7 v2 message costs from bytes to Resources with their ledger: milliseconds of one core.

    PYTHONPATH=src python bench/bench_hl7v2.py

Side by side: what python-hl7 (BSD) and hl7apy (MIT) take to parse the same messages, without mapping anything
(`pip install hl7 hl7apy`; skipped where absent). The public samples under the setting `conformance` are used, and the
admissions of `verify.messages`. Each step runs over the same messages; the best of the rounds counts.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from careloom.fhir.validate import validate
from careloom.settings import settings_from
from careloom.store.event import Event
from careloom.unify.hl7v2.convert import to_resources
from careloom.unify.hl7v2.message import messages_in, parse
from careloom.verify.messages import messages
from careloom.verify.v2_ledger import ARCHIVE, samples

GOLDENS = Path(__file__).parents[1] / "tests" / "golden" / "unify" / "hl7v2"
ROUNDS = 5
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def main() -> None:
    own = messages(120, 1)
    sets = {
        "verify ADT^A01": [body for body in own if b"ADT^A01" in body],
        "verify ORU^R01": [body for body in own if b"ORU^R01" in body],
    }
    goldens = sorted(GOLDENS.glob("a*/in.hl7"))
    sets["golden ADT"] = [body for path in goldens for body in messages_in(path.read_bytes())]
    archive = settings_from().conformance / ARCHIVE
    if archive.exists():
        found = [body for _, body in samples(archive)]
        sets["public ADT"] = [body for body in found if b"|ADT^" in body]
        sets["public ORU"] = [body for body in found if b"|ORU^" in body]
    print(f"{'ms of CPU a message':20}{'count':>6}{'bytes':>7}" + "".join(f"{name:>14}" for name in steps()))
    for name, bodies in sets.items():
        size = sum(map(len, bodies)) / len(bodies)
        costs = "".join(f"{best(step, bodies):14.3f}" for step in steps().values())
        print(f"{name:20}{len(bodies):6}{size:7.0f}{costs}")


def steps() -> dict[str, Callable[[bytes], object]]:
    """What is measured, by name; the peers only where they are installed."""
    found: dict[str, Callable[[bytes], object]] = {
        "parse": parse,
        "to Resources": mapped,
        "and validated": lambda body: [validate(stated.resource) for stated in mapped(body).stated],
    }
    for name, peer in (("python-hl7", _python_hl7), ("hl7apy", _hl7apy)):
        try:
            found[name] = peer()
        except ImportError:
            print(f"{name} is not installed: left out.")
    return found


def mapped(body: bytes):
    """One conversion, with nothing known of the patient yet."""
    return to_resources(Event(1, "bench", "hl7v2", body, "key", NOW, "received"), lambda _type, _id: None)


def _python_hl7() -> Callable[[bytes], object]:
    library = importlib.import_module("hl7")
    return lambda body: _quietly(library.parse, body)


def _hl7apy() -> Callable[[bytes], object]:
    library = importlib.import_module("hl7apy.parser")

    return lambda body: _quietly(lambda text: library.parse_message(text, find_groups=False), body)


def _quietly(read: Callable[[str], object], body: bytes) -> object:
    try:
        return read(body.decode("utf-8-sig", "replace").replace("\r\n", "\r").replace("\n", "\r"))
    except Exception:  # noqa: BLE001 - peers refuse some public samples; the time until then counts
        return None


def best(step: Callable[[bytes], object], bodies: list[bytes]) -> float:
    """The mean over the messages of each one's best time, in ms."""
    total = 0.0
    for body in bodies:
        times: list[float] = []
        for _ in range(ROUNDS):
            start = time.process_time()
            step(body)
            times.append(time.process_time() - start)
        total += min(times)
    return total / len(bodies) * 1e3


if __name__ == "__main__":
    main()
