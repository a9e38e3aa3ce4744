"""connect.load_crew: the worker processes of a load: each opens its own `accept`, takes jobs, answers outcomes.

Room: connect. May import: fhir, store. Touches: processes and pipes.

One pipe a worker, one job at a time: a worker that is killed takes nothing with it but its job, which is given once
more, item by item, so that an item that kills workers is found. When the parent is killed its workers end by
themselves, since their pipes end.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, replace
from importlib import import_module
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Any, Self, cast

from careloom.connect.ack import verdict_of
from careloom.connect.sources import Item
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import calm_collector
from careloom.store.event import Arrival, Receipt

MakeAccept = str | Callable[[], AbstractContextManager[Callable[[Arrival], Receipt]]]
"""Opens, in the worker, what accepts arrivals: a picklable callable, or `module:attribute` that names one."""

_WAIT_S = 0.2
_PAUSES_S = (0.1, 1.0, 5.0)
_NOT_ITS_FAULT = frozenset({"transient", "throttled", "timeout", "no-store"})


@dataclass(frozen=True, slots=True)
class Away:
    """Nothing can be kept at the moment, whatever it is: the database is away, or its disk is full."""

    reason: str


@dataclass(frozen=True, slots=True)
class Job:
    """Items that one worker takes, in order. Jobs of one lane (0 .. workers - 1) go to one worker, in order."""

    lane: int | None
    items: tuple[Item, ...]
    attempt: int = 1


@dataclass(slots=True)
class _Worker:
    process: SpawnProcess
    pipe: Connection
    job: Job | None = None
    is_ready: bool = False


class Crew:
    """The workers; use it as a context."""

    def __init__(self, size: int, make_accept: MakeAccept) -> None:
        self._make_accept = make_accept
        self._again: deque[Job] = deque()
        self._workers = [self._hired() for _ in range(size)]

    def __enter__(self) -> Self:
        """The crew itself; workers make ready while one reads on."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the workers go: at once if they are needed no more, by force if they do not end."""
        for worker in self._workers:
            worker.pipe.close()
        for worker in self._workers:
            worker.process.join(10 if error is None else 0.5)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()

    @property
    def is_busy(self) -> bool:
        """True while a job is not answered."""
        return bool(self._again) or any(worker.job for worker in self._workers)

    def takes(self, job: Job) -> bool:
        """True if the job can be given now."""
        return not any(job.lane == again.lane for again in self._again) and self._free(job.lane) is not None

    def give(self, job: Job) -> None:
        """Give a job to a worker that is free for it."""
        worker = self._free(job.lane)
        if worker is None:
            self._again.append(job)
            return
        worker.job = job
        # A worker that has just died is noticed when its answer is read.
        with suppress(BrokenPipeError, ConnectionResetError):
            worker.pipe.send([item.arrival for item in job.items])

    def outcomes(self) -> Iterator[tuple[Item, Receipt | str]]:
        """What became of items: a receipt, or the reason why it could not be kept. Waits a moment, if there is none.

        Raises OutcomeError if a worker cannot start.
        """
        pipes = {worker.pipe: index for index, worker in enumerate(self._workers)}
        for pipe in wait(list(pipes), _WAIT_S):
            index = pipes[cast("Connection", pipe)]
            try:
                answer: Any = self._workers[index].pipe.recv()
            except (EOFError, ConnectionResetError):
                yield from self._replaced(index)
            else:
                yield from self._answered(self._workers[index], answer)
        for job in [self._again.popleft() for _ in range(len(self._again))]:
            self.give(job)

    def _free(self, lane: int | None) -> _Worker | None:
        candidates = self._workers if lane is None else self._workers[lane : lane + 1]
        return next((worker for worker in candidates if worker.is_ready and worker.job is None), None)

    def _answered(self, worker: _Worker, answer: Any) -> Iterator[tuple[Item, Receipt | str]]:
        if isinstance(answer, str):
            raise OutcomeError(Issue("processing", f"A worker of the load cannot start: {answer}"))
        if isinstance(answer, Away):
            text = f"The load was broken off: {answer.reason} Then run it again: it goes on where it stopped."
            raise OutcomeError(Issue("transient", text))
        worker.is_ready = True
        if worker.job is not None:
            yield from zip(worker.job.items, answer, strict=True)
            worker.job = None

    def _replaced(self, index: int) -> Iterator[tuple[Item, str]]:
        dead = self._workers[index]
        dead.pipe.close()
        dead.process.join()
        code = dead.process.exitcode
        if not dead.is_ready:
            raise OutcomeError(Issue("processing", f"A worker of the load ended at its start (exit {code})."))
        if dead.job is not None and dead.job.attempt > 1:
            yield from (
                (item, f"The worker that took it ended twice (exit {code}).") for item in dead.job.items
            )
        elif dead.job is not None:
            alone = [replace(dead.job, items=(item,), attempt=2) for item in dead.job.items]
            self._again.extendleft(reversed(alone))
        self._workers[index] = self._hired()

    def _hired(self) -> _Worker:
        # Not forked: a fork would carry database connections and pipes of the other workers along.
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(theirs, self._make_accept), daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, cast("Connection", ours))


def work(pipe: Connection, make_accept: MakeAccept) -> None:
    """The life of a worker: open, answer `[]` (ready) or why it cannot start, then a list of outcomes to each job."""
    # Ctrl-C goes to the whole group of processes; the parent alone decides when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with ExitStack() as opened:
        try:
            accept = opened.enter_context(_resolved(make_accept)())
        except Exception as error:  # noqa: BLE001 - the parent says it to the person
            reason = str(error) if isinstance(error, OutcomeError) else type(error).__name__
            # Nobody listens any more when another worker could not start either.
            with suppress(BrokenPipeError, ConnectionResetError):
                pipe.send(reason)
            return
        calm_collector()
        answers: list[Receipt | str] | Away = []
        with suppress(EOFError, BrokenPipeError, ConnectionResetError):
            while True:
                pipe.send(answers)
                answers = _outcomes(accept, pipe.recv())


def _resolved(make_accept: MakeAccept) -> Callable[[], AbstractContextManager[Callable[[Arrival], Receipt]]]:
    if not isinstance(make_accept, str):
        return make_accept
    module, _, attribute = make_accept.partition(":")
    return getattr(import_module(module), attribute)


def _outcomes(
    accept: Callable[[Arrival], Receipt], arrivals: Iterable[Arrival]
) -> list[Receipt | str] | Away:
    outcomes: list[Receipt | str] = []
    for arrival in arrivals:
        outcome = _outcome(accept, arrival)
        if isinstance(outcome, Away):
            return outcome
        outcomes.append(outcome)
    return outcomes


def _outcome(accept: Callable[[Arrival], Receipt], arrival: Arrival) -> Receipt | str | Away:
    """What became of one arrival; trouble that may pass (a database that restarts) is waited out for a while."""
    pauses = iter(_PAUSES_S)
    while True:
        try:
            return accept(arrival)
        except Exception as error:  # noqa: BLE001 - one item never ends a load
            pause = next(pauses, None)
            codes = {issue.code for issue in error.issues} if isinstance(error, OutcomeError) else set[str]()
            if pause is None and codes & _NOT_ITS_FAULT:
                return Away(str(error))
            if pause is None or verdict_of(error).application != "AR":
                return (
                    str(error) if isinstance(error, OutcomeError) else f"Not kept ({type(error).__name__})."
                )
            time.sleep(pause)
