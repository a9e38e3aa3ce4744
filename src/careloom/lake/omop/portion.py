"""lake.omop.portion: the CDM as far as an actor may see it: all of what was built, or one that is built of their rows alone.

Room: lake. May import: lake, store.seen, duckdb. Touches: the folder `_cuts` of the lake.

A filter on persons would not do: an era, a period of observation, an address or a person with Patients in two wards is
made of several resources, of which the actor may see some. So the ETL runs on what they see, and nothing else is in the
file. Ids are those of the whole CDM. The file is named by what went into it, as every cut (lake.cut).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import duckdb

from careloom.lake.cut import CUTS, Maker, Table, table, tidy
from careloom.lake.fresh import replacing
from careloom.lake.lake import Lake
from careloom.lake.omop import build
from careloom.lake.omop.ddl import create
from careloom.lake.omop.facts import tables
from careloom.lake.reading import literal
from careloom.store.actor import Actor
from careloom.store.database import Connection
from careloom.store.seen import seen

VOCABULARY = tuple(name for name, one in tables().items() if one.schema == "VOCAB")


@dataclass(frozen=True, slots=True)
class Portion:
    """Statements that make tables of the schema `omop`, and the files that they read."""

    statements: tuple[str, ...]
    files: tuple[Path, ...]


NOTHING = Portion((), ())


def portion(lake: Lake, connection: Connection, actor: Actor, names: Sequence[str], maker: Maker) -> Portion:
    """These tables of the CDM as `actor` may see them. Raises OutcomeError: forbidden, not-found, lock-error."""
    whole = lake.root / build.FILE
    if all(seen(connection, actor, rtype).is_all for rtype in build.TYPES):
        attach = f"attach {literal(whole)} as cdm (read_only)"
        return Portion(
            (attach, *(f"create view omop.{name} as from cdm.main.{name}" for name in names)), (whole,)
        )
    with maker() as duck:
        build.attach(duck, whole, is_read_only=True, name="whole")
        words = _vocabulary(duck, lake.root / CUTS)
    own = [name for name in names if name not in words]
    statements = [
        f"create view omop.{name} as from {_reading(words[name])}" for name in names if name in words
    ]
    files = [words[name] for name in names if name in words]
    if own:
        types = [table(lake, connection, actor, rtype, maker) for rtype in build.TYPES]
        file = _built(lake, types, words, maker)
        statements.append(f"attach {literal(file)} as cdm (read_only)")
        statements += [f"create view omop.{name} as from cdm.main.{name}" for name in own]
        files.append(file)
    return Portion(tuple(statements), tuple(files))


def _reading(path: Path) -> str:
    return f"read_parquet({literal(path)})"


def _vocabulary(duck: duckdb.DuckDBPyConnection, folder: Path) -> dict[str, Path]:
    """The tables of the vocabulary as files of their own: they are of no patient, and large."""
    state = duck.execute("select files from whole.careloom.vocabulary").fetchall()
    digest = blake2b(repr(state).encode(), digest_size=8).hexdigest()
    found = {name: folder / f"omop-{name}-{digest}.parquet" for name in VOCABULARY}
    folder.mkdir(mode=0o700, exist_ok=True)
    for name, path in found.items():
        if path.exists():
            os.utime(path)
            continue
        with replacing(path) as fresh:
            duck.execute(
                f"copy (from whole.main.{name}) to {literal(fresh)} (format parquet, compression zstd)"
            )
    return found


def _built(lake: Lake, types: Sequence[Table], words: dict[str, Path], maker: Maker) -> Path:
    told = [build.digest(), *(str(file) for one in types for file in one.files), *map(str, words.values())]
    name = blake2b("\n".join(told).encode(), digest_size=16).hexdigest()
    path = lake.root / CUTS / f"omop-{name}.duckdb"
    if path.exists():
        os.utime(path)
        return path
    with replacing(path) as fresh, maker() as duck:
        for one in types:
            duck.execute(f'create view main."{one.rtype}" as {one.sql}')
        build.attach(duck, lake.root / build.FILE, is_read_only=True, name="whole")
        duck.execute("create temp table known_key as from whole.careloom.key")
        duck.execute("detach whole")
        duck.execute(f"attach {literal(fresh)} as cdm")
        _schema(duck, words)
        build.fill(duck, build.quiet)
        # Where a row comes from is no table of the CDM.
        duck.execute("drop schema cdm.careloom cascade")
        duck.execute("detach cdm")
    tidy(path.parent)
    return path


def _schema(duck: duckdb.DuckDBPyConnection, words: dict[str, Path]) -> None:
    build.bookkeeping(duck)
    for name, one in tables().items():
        if name in words:
            duck.execute(f"create view cdm.{name} as from {_reading(words[name])}")
        else:
            duck.execute(create(one, "careloom", "cdm"))
