"""verify.search_oracle: searches of every shape, page by page, against an oracle that looks at every resource.

Room: verify. Reads the Synthea bundles and the official R4 examples of the public suites. A scratch database of its own.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

from careloom.fhir.outcome import OutcomeError
from careloom.fhir.query import Query, parse
from careloom.fhir.resource import Resource, dumps
from careloom.flow.file import commit_file
from careloom.flow.guides import NO_DEMAND
from careloom.settings import Settings
from careloom.store import feed
from careloom.store.actor import STATION
from careloom.store.database import Database
from careloom.store.event import Event
from careloom.store.read import Reader
from careloom.store.server import database_served
from careloom.verify.archive import files
from careloom.verify.figure import Figure
from careloom.verify.oracle import Oracle, in_order
from careloom.verify.scratch import scratch_home
from careloom.verify.shapes import BUSY, Shape, Shapes
from careloom.verify.shapes_whole import WholeShapes, value_sets

SYNTHEA = "patients/synthea-r4.tar.zst"
EXAMPLES = "fhir-r4-definitions/hl7.fhir.r4.examples-4.0.1.tar.zst"
DEFINITIONS = (
    "StructureDefinition-",
    "SearchParameter-",
    "ValueSet-",
    "CodeSystem-",
    "ConceptMap-",
    "package",
    "ig-",
)
"""Files of the package of examples that are definitions of R4, not examples."""
NAME = "search-oracle"
SEED = 2026
NUMBER = 600
"""Shapes made by chance of simple parameters, and as many of everything else, beside the sweep over all parameters."""
SAMPLE = 3_000
"""Resources whose codings are named in value sets."""
PAGES_INCLUDED = 3
"""Pages whose includes are compared: each costs the oracle a look at every resource."""
MANY = 2_000
"""Of an answer with more matches only the first and the last three pages are read."""
ENDS = 100
"""Matches on each of these pages."""
CALM = 60
"""Shapes that are read while others write."""
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


def fill(database: Database, bundles: Iterable[bytes], singles: Iterable[bytes]) -> int:
    """Commit bundles and single resources, each at a time of its own; return how many were refused by the validator."""
    events = [("fhir", raw) for raw in bundles] + [("ndjson", b" ".join(raw.split(b"\n"))) for raw in singles]
    refused = _commit(database, events, "file")
    named = value_sets(list(islice(resources(database), SAMPLE)), SEED)
    _commit(database, [("ndjson", dumps(one)) for one in named], "named")
    with database.autocommit() as connection:
        connection.execute("vacuum analyze")
    return refused


def _commit(database: Database, events: Sequence[tuple[str, bytes]], key: str) -> int:
    """Commit each at a time of its own; return how many were refused."""
    refused = 0
    for number, (kind, raw) in enumerate(events, 1):
        now = BEGUN + timedelta(minutes=7 * number, milliseconds=number)
        event = Event(number, "oracle", kind, raw, f"{key}-{number}", now, "received")
        try:
            with database.connection() as connection:
                commit_file(connection, event, now, NO_DEMAND)
        except OutcomeError:
            refused += 1
    return refused


def resources(database: Database) -> Iterator[Resource]:
    """Every resource that stands, read in the order of the feed, which no search takes part in."""
    after = feed.START
    with database.connection() as connection:
        while True:
            batch = feed.batch(connection, after, 1_000)
            yield from (change.resource for change in batch.changes if not change.is_deleted)
            if not batch.changes:
                return
            after = batch.cursor


def wrong(reader: Reader, oracle: Oracle, shape: Shape, count: int = 20) -> str:
    """What is wrong with the answer to a shape, in a few words; "" if it is right on every page, there and back."""
    expected = oracle.answer(shape.rtype, shape.pairs) if shape.expected is None else shape.expected
    if len(expected) > MANY:
        return _wrong_at_the_ends(reader, oracle, shape, expected)
    try:
        pages = list(_pages(reader, shape, max(count, len(expected) // 8)))
        back = list(_pages(reader, shape, max(count, len(expected) // 6), is_back=True))
        total = reader.search(_query(shape, ("_total", "accurate"), ("_count", "1"))).total
    except OutcomeError as error:
        return f"refused: {error}"
    found = [name for matches, _ in pages for name in matches]
    returned = [name for matches, _ in reversed(back) for name in matches]
    return (
        _unequal(found, expected)
        or _badly_cut([len(matches) for matches, _ in pages])
        or ("" if returned == found else "the way back is another")
        or ("" if total == len(expected) else f"the total is {total}, not {len(expected)}")
        or _disorder(oracle, found, dict(shape.pairs).get("_sort", ""))
        or _wrongly_included(oracle, shape, pages)
    )


def _wrong_at_the_ends(reader: Reader, oracle: Oracle, shape: Shape, expected: frozenset[str]) -> str:
    """Of an answer that is too long to be read whole: its first and last pages, and how much it is."""
    try:
        pages = list(islice(_pages(reader, shape, ENDS), 3))
        back = list(islice(_pages(reader, shape, ENDS, is_back=True), 3))
        total = reader.search(_query(shape, ("_total", "accurate"), ("_count", "1"))).total
    except OutcomeError as error:
        return f"refused: {error}"
    sort = dict(shape.pairs).get("_sort", "")
    runs = (
        [name for matches, _ in pages for name in matches],
        [name for found in reversed(back) for name in found[0]],
    )
    found = [*runs[0], *runs[1]]
    return (
        _unequal(found, expected.intersection(found))
        or ("" if len(found) == 6 * ENDS else f"{len(found)} stand on six pages of {ENDS}")
        or ("" if total == len(expected) else f"the total is {total}, not {len(expected)}")
        or _disorder(oracle, found, sort)
        or _wrongly_included(oracle, shape, pages)
    )


def _unequal(found: list[str], expected: frozenset[str]) -> str:
    twice = [name for name, times in Counter(found).items() if times > 1]
    if twice:
        return f"{len(twice)} are told twice"
    more, less = set(found) - expected, expected - set(found)
    if more or less:
        return f"{len(more)} too many, {len(less)} too few of {len(expected)}: {sorted(more | less)[:2]}"
    return ""


def _badly_cut(sizes: list[int]) -> str:
    return f"pages of unequal length: {sizes}" if any(size != sizes[0] for size in sizes[:-1]) else ""


def _disorder(oracle: Oracle, found: list[str], sort: str) -> str:
    ranks = [oracle.rank(name, sort) for name in found] if sort else []
    return "" if all(in_order(one, other, sort) for one, other in pairwise(ranks)) else "not in order"


def _wrongly_included(oracle: Oracle, shape: Shape, pages: list[Told]) -> str:
    if not any(name.startswith(("_include", "_revinclude")) for name, _ in shape.pairs):
        return ""
    for matches, beside in pages[:PAGES_INCLUDED]:
        expected = oracle.included(matches, shape.pairs)
        more, less = set(beside) - expected, expected - set(beside)
        if more or less or len(set(beside)) < len(beside):
            return f"includes {len(more)} too many, {len(less)} too few: {sorted(more | less)[:2]}"
    return ""


Told = tuple[list[str], list[str]]
"""Names of the matches of a page, and of what stands beside them."""


def _query(shape: Shape, *more: tuple[str, str]) -> Query:
    return parse(shape.rtype, [*shape.pairs, *more], strict=True, within=shape.within)


def _pages(reader: Reader, shape: Shape, count: int, *, is_back: bool = False) -> Iterator[Told]:
    cursor: str | None = ""
    if is_back:
        first = reader.search(_query(shape, ("_count", str(count))))
        cursor = first.last or ""
    while cursor is not None:
        more = [("_cursor", cursor)] if cursor else []
        page = reader.search(_query(shape, ("_count", str(count)), *more))
        yield (
            [f"{one.rtype}/{one.id}" for one in page.matches],
            [f"{one.rtype}/{one.id}" for one in page.included],
        )
        cursor = page.previous if is_back else page.next


def written_meanwhile(database: Database, oracle: Oracle, shapes: Sequence[Shape]) -> Iterator[str]:
    """What is wrong with the answer to each shape, page by page, while others write: of what stood before and stands
    after, no resource may be left out or told twice.
    """
    with _writers(database, oracle):
        for shape in shapes:
            expected = oracle.answer(shape.rtype, shape.pairs)
            found: list[str] = []
            cursor = ""
            while True:
                pairs = [
                    *shape.pairs,
                    ("_count", str(max(10, len(expected) // 8))),
                    *([("_cursor", cursor)] if cursor else []),
                ]
                # Each page is read in a transaction of its own, as a client reads it.
                with database.connection() as connection:
                    page = Reader(connection, STATION).search(parse(shape.rtype, pairs, strict=True))
                found += [f"{match.rtype}/{match.id}" for match in page.matches if match.rtype]
                if page.next is None:
                    break
                cursor = page.next
            missing = expected - set(found)
            twice = [name for name, times in Counter(found).items() if times > 1 and name in expected]
            yield f"{len(missing)} left out, {len(twice)} twice: {shape.text}" if missing or twice else ""


@contextmanager
def _writers(database: Database, oracle: Oracle) -> Generator[None]:
    """Somebody creates, changes and deletes copies of resources, under ids of their own, until the block ends."""
    stop = threading.Event()
    names = sorted(name for rtype in BUSY if rtype in oracle.of_type for name in oracle.of_type[rtype])[::7]

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            copy = {**oracle.resource(names[number % len(names)]), "id": f"writer-{number % 500}"}
            copy["language"] = f"x-{number}"
            now = BEGUN + timedelta(days=30, seconds=number)
            event = Event(number, "oracle", "ndjson", dumps(copy), f"writer-{number}", now, "received")
            with database.connection() as connection:
                commit_file(connection, event, now, NO_DEMAND)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def examples(settings: Settings) -> list[bytes]:
    """The official examples of R4."""
    archive = settings.conformance / EXAMPLES
    named = ((name.rpartition("/")[2], raw) for name, raw in sorted(files(archive)))
    return [raw for name, raw in named if not name.startswith(DEFINITIONS)]


def compared(database: Database, seed: int, number: int) -> list[tuple[Shape, str]]:
    """Each shape of the sweep and `number` more, and what is wrong with its answer."""
    oracle = Oracle(resources(database))
    shapes = Shapes(oracle, seed)
    whole = WholeShapes(oracle, shapes, seed)
    with database.connection() as connection:
        reader = Reader(connection, STATION)
        chosen = (*shapes.sweep(), *shapes.by_chance(number), *whole.by_chance(number))
        return [(shape, wrong(reader, oracle, shape)) for shape in chosen]


def check(settings: Settings) -> list[Figure]:
    """Figures: shapes that equal the oracle on each page, parameters that the sweep covered, shapes while writers run."""
    if not (settings.conformance / SYNTHEA).exists() or not (settings.conformance / EXAMPLES).exists():
        return [
            Figure(
                check=NAME, note=f"The suites {SYNTHEA} and {EXAMPLES} are needed: set CARELOOM_CONFORMANCE."
            )
        ]
    with scratch_home(NAME) as home, database_served(Settings(home=home)) as database:
        bundles = [raw for _, raw in sorted(files(settings.conformance / SYNTHEA))]
        refused = fill(database, bundles, examples(settings))
        told = compared(database, SEED, NUMBER)
        return [
            *_figures(told),
            Figure(check=f"{NAME}.refused", value=refused, unit="examples"),
            *_while_written(database),
        ]


def _figures(told: Sequence[tuple[Shape, str]]) -> Iterator[Figure]:
    wrong = [shape for shape, what in told if what]
    yield Figure(check=NAME, passed=len(told) - len(wrong), failed=len(wrong), unit="shapes")
    for kind in sorted({shape.kind for shape, _ in told}):
        number = sum(shape.kind == kind for shape, _ in told)
        failed = sum(shape.kind == kind for shape in wrong)
        yield Figure(check=f"{NAME}.{kind}", passed=number - failed, failed=failed, unit="shapes")


def _while_written(database: Database) -> Iterator[Figure]:
    oracle = Oracle(resources(database))
    shapes = list(Shapes(oracle, SEED + 1).by_chance(CALM))
    failed = sum(map(bool, written_meanwhile(database, oracle, shapes)))
    yield Figure(check=f"{NAME}.writers", passed=len(shapes) - failed, failed=failed, unit="shapes")
