"""Eighteen kinds of error, put into valid Synthea resources one at a time: the validator must see them.

`pytest tests/fhir/test_mutations.py -s` prints the table.
"""

from __future__ import annotations

import random
from collections import defaultdict

from careloom.fhir.bundle import read
from careloom.fhir.resource import loads
from careloom.fhir.validate import validate
from careloom.verify.mutations import MUTATIONS, mutated

PER_KIND = 60


def sample(bundles: list[bytes]) -> list[bytes]:
    """Up to 60 resources of each type, shuffled."""
    by_type: dict[str, list[bytes]] = defaultdict(list)
    for raw in bundles:
        for entry in read(raw).entries:
            assert entry.body is not None
            by_type[entry.rtype].append(entry.body)
    chance = random.Random(3)
    found = [body for bodies in by_type.values() for body in chance.sample(bodies, min(len(bodies), 60))]
    chance.shuffle(found)
    return found


def test_the_resources_of_synthea_are_valid(synthea_bundles: list[bytes]) -> None:
    for raw in synthea_bundles:
        for entry in read(raw).entries:
            assert entry.body is not None
            assert validate(loads(entry.body)) == []


def test_eighteen_kinds_of_error_are_seen(synthea_bundles: list[bytes]) -> None:
    bodies = sample(synthea_bundles)
    chance = random.Random(7)
    assert len(MUTATIONS) == 18
    for kind in MUTATIONS:
        count = 0
        for body in bodies:
            resource = loads(body)
            if count < PER_KIND and mutated(resource, kind, chance):
                count += 1
                assert validate(resource) != [], (kind, resource["resourceType"])
        print(f"| {kind} | {count} |")
        assert count >= 20, kind
