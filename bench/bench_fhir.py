"""bench_fhir: what one Synthea resource costs to read, check and index: microseconds of one core.

    PYTHONPATH=src python bench/bench_fhir.py [--bundles 20]

Each step runs over the same resources in turn, so that a busy machine slows all alike; the best of the rounds counts.
The archive under the setting `conformance` is used.
"""

from __future__ import annotations

import argparse
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice

from careloom.fhir import bundle, xml
from careloom.fhir.resource import loads
from careloom.fhir.searchparam import extract, parameters
from careloom.fhir.validate import validate
from careloom.settings import settings_from
from careloom.store.body import kept_of_bytes, spliced
from careloom.verify.archive import files

ROUNDS = 15
SLICE = 400
"""Resources per round: few enough to be read again from the cache, as a server does with one bundle."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--bundles", type=int, default=20)
    raws = bundles(options.parse_args().bundles)
    cold_start()
    entries = [entry for raw in raws for entry in bundle.read(raw).entries]
    bodies = [entry.body for entry in entries if entry.body is not None]
    size = sum(map(len, bodies)) / len(bodies)
    print(f"{len(raws)} bundles, {len(bodies):,} resources, {size:,.0f} bytes a resource")
    print(f"bundle.read {best(bundle.read, [raws], per=len(bodies) / len(raws)):5.1f} us a resource")
    placed = bundle.places(entries, lambda: str(uuid.uuid4()), {})
    targets = bundle.references(entries, placed)
    now = datetime.now(UTC)
    kept = [kept_of_bytes(body) for body in bodies]
    steps: dict[str, tuple[Callable[..., object], list[object]]] = {
        "rewrite": (lambda body: bundle.rewrite(body, targets), [*bodies]),
        "loads": (loads, [*bodies]),
        "validate": (validate, [loads(body) for body in bodies]),
        "write XML": (xml.dumps, [loads(body) for body in bodies]),
        "read XML": (xml.loads, [xml.dumps(loads(body)) for body in bodies]),
        "extract": (extract, [loads(body) for body in bodies]),
        "store: keep": (kept_of_bytes, [*bodies]),
        "store: splice": (lambda body: spliced(body, "Basic", "7", 1, now), [*kept]),
    }
    for name, (step, values) in steps.items():
        slices = [values[start : start + SLICE] for start in range(0, len(values), SLICE)]
        print(f"{name:14} {best(step, slices):5.1f} us a resource")


def best(step: Callable[..., object], slices: list[list[object]], per: float = 1) -> float:
    """The mean over the slices of each one's best time, in us."""
    total = 0.0
    for values in slices:
        times: list[float] = []
        for _ in range(ROUNDS):
            start = time.process_time()
            for value in values:
                step(value)
            times.append(time.process_time() - start)
        total += min(times)
    return total / sum(map(len, slices)) / per * 1e6


def cold_start() -> None:
    for name, step in {
        "facts read": lambda: parameters("Patient"),
        "first validate": lambda: validate({"resourceType": "Patient"}),
        "next type": lambda: validate({"resourceType": "Observation"}),
        "first extract": lambda: extract({"resourceType": "Observation"}),
    }.items():
        start = time.perf_counter()
        step()
        print(f"{name:14} {(time.perf_counter() - start) * 1e3:5.1f} ms")


def bundles(count: int) -> list[bytes]:
    archive = settings_from().conformance / "patients" / "synthea-r4.tar.zst"
    return [raw for _, raw in islice(files(archive), count)]


if __name__ == "__main__":
    main()
