"""verify.identity: how well one person is told from another: on public truth, and in a town with twins and juniors.

Room: verify. Figures of a set: pairwise precision, recall and F1 of the Persons that come out; `answered` is the F1
if a steward answers every review item rightly. Thresholds and rules were changed while FEBRL4 and the town were looked
at, so figures on them are not held out.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

from careloom.settings import Settings
from careloom.unify.identity.batch import Batch, batch
from careloom.unify.identity.blocking import Index
from careloom.unify.identity.decide import decide
from careloom.unify.identity.record import record
from careloom.unify.identity.registers import linked
from careloom.verify.figure import Figure
from careloom.verify.matching import SETS, Truth, febrl
from careloom.verify.registrations import town

PEOPLE = 10_000
SEED = 7
_TIMED = 2_000

Pairs = set[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Measured:
    """What the Persons are worth against the truth."""

    precision: float
    recall: float
    answered: float
    """F1 when all review items are answered rightly."""
    review_share: float
    """Review items for each 100 registrations."""

    @property
    def f1(self) -> float:
        """Of the Persons as linked without anybody's help."""
        return _f1(self.precision, self.recall)


def figures(settings: Settings) -> list[Figure]:
    """All figures of the check `identity`."""
    return [*_on_public_sets(settings), *_in_town(), _speed()]


def register_figures(settings: Settings) -> list[Figure]:
    """All figures of the check `registers`: FEBRL4 as two registers, whole, without the number, and half of one.

    There a twin's own record takes the twin, so that nothing objects: comparable with what Splink and others print.
    """
    folder = settings.conformance / "patient-matching"
    if not folder.is_dir():
        return [Figure(check="registers.febrl4.f1", failed=1, note="absent in the conformance folder")]
    found: list[Figure] = []
    for name, has_number, part in (
        ("febrl4", True, 1),
        ("febrl4-no-number", False, 1),
        ("febrl4-no-number-half", False, 2),
    ):
        one = febrl(folder, "dataset4a", has_number=has_number)[::part]
        two = febrl(folder, "dataset4b", has_number=has_number)
        precision, recall = measure_registers(one, two)
        found.append(Figure(check=f"registers.{name}.precision", value=round(precision, 4)))
        found.append(Figure(check=f"registers.{name}.f1", value=round(_f1(precision, recall), 4)))
    return found


def measure_registers(one: Truth, two: Truth) -> tuple[float, float]:
    """Precision and recall of the links between two registers whose persons are known."""
    people = {str(patient["id"]): person for patient, person in (*one, *two)}
    matches = linked([record(patient) for patient, _ in one], [record(patient) for patient, _ in two])
    right = sum(people[match.one] == people[match.two] for match in matches)
    both = len({person for _, person in one} & {person for _, person in two})
    return right / max(1, len(matches)), right / max(1, both)


def _on_public_sets(settings: Settings) -> Iterator[Figure]:
    folder = settings.conformance / "patient-matching"
    if not folder.is_dir():
        yield Figure(
            check="identity.febrl4.f1", failed=1, note=f"absent: {folder.name} in the conformance folder"
        )
        return
    for name, read in SETS.items():
        measured = measure(read(folder))
        yield Figure(check=f"identity.{name}.precision", value=round(measured.precision, 4))
        yield Figure(check=f"identity.{name}.f1", value=round(measured.f1, 4))
        yield Figure(check=f"identity.{name}.answered", value=round(measured.answered, 4))


def _in_town() -> Iterator[Figure]:
    measured = measure([(each.patient, str(each.citizen)) for each in town(PEOPLE, SEED)])
    yield Figure(check="identity.generator.precision", value=round(measured.precision, 4))
    yield Figure(check="identity.generator.recall", value=round(measured.recall, 4))
    yield Figure(check="identity.generator.answered", value=round(measured.answered, 4))
    yield Figure(
        check="identity.generator.review",
        value=round(measured.review_share, 2),
        unit="items per 100 registrations",
    )


def _speed() -> Figure:
    """Normalise, block and decide for one registration against a town, in memory: without the store."""
    patients = [each.patient for each in town(PEOPLE, SEED)]
    records = {str(patient["id"]): record(patient) for patient in patients}
    index = Index(records.values())
    taken: list[float] = []
    for patient in patients[:_TIMED]:
        started = time.perf_counter()
        one = record(patient)
        for other in index.candidates(one):
            decide(one, records[other])
        taken.append(time.perf_counter() - started)
    return Figure(check="identity.registration", value=round(median(taken) * 1e6), unit="us (p50)")


def measure(truth: Truth) -> Measured:
    """Run the pipeline over Patients whose persons are known."""
    records = [record(patient) for patient, _ in truth]
    result = batch(records)
    people: dict[str, list[str]] = defaultdict(list)
    for patient, person in truth:
        people[person].append(str(patient["id"]))
    right = _pairs(people.values())
    found = _pairs(result.partition.clusters)
    queued = _queued(result)
    recall = len(found & right) / len(right)
    precision = len(found & right) / max(1, len(found))
    answered = found | (queued & right)
    return Measured(
        precision=precision,
        recall=recall,
        answered=_f1(len(answered & right) / max(1, len(answered)), len(answered & right) / len(right)),
        review_share=100 * len(queued - found) / len(records),
    )


def _queued(result: Batch) -> Pairs:
    """Pairs that wait for a steward: those graded review, and links that the guard refused."""
    graded = {pair for pair, decision in result.decided.items() if decision.grade == "review"}
    return graded | {(min(edge.one, edge.two), max(edge.one, edge.two)) for edge in result.partition.refused}


def _pairs(groups: Iterable[Sequence[str] | frozenset[str]]) -> Pairs:
    return {(min(pair), max(pair)) for group in groups for pair in combinations(group, 2)}


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / max(precision + recall, 1e-9)
