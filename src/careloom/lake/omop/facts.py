"""lake.omop.facts: the tables and fields of CDM 5.4, as OHDSI publishes them.

Room: lake. May import: nothing. Generated: cdm.tsv, by scripts/omop_facts.py.
https://ohdsi.github.io/CommonDataModel/cdm54.html
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class CdmField:
    """One column of a table of the CDM."""

    name: str
    type: str
    """As published, in lower case: `integer`, `varchar(50)`, `varchar(max)`, `datetime`, `float`, `date`."""
    is_required: bool
    is_key: bool
    references: str
    """`table.field` that it points to; empty if it points nowhere."""

    @property
    def length(self) -> int | None:
        """How long a text may be; None if it is none, or has no limit."""
        size = self.type.removeprefix("varchar(").removesuffix(")")
        return int(size) if size.isdecimal() else None


@dataclass(frozen=True, slots=True)
class CdmTable:
    """One table of the CDM."""

    name: str
    schema: str
    """CDM, VOCAB or RESULTS."""
    fields: tuple[CdmField, ...]

    @property
    def key(self) -> str:
        """The name of the primary key; empty if the table has none."""
        return next((field.name for field in self.fields if field.is_key), "")

    def __contains__(self, name: str) -> bool:
        return any(field.name == name for field in self.fields)


@cache
def tables() -> dict[str, CdmTable]:
    """All tables by name, in the order of the specification.

    >>> len(tables()), sum(len(table.fields) for table in tables().values())
    (39, 432)
    >>> tables()["death"].key
    ''
    """
    fields: dict[str, list[CdmField]] = {}
    schemas: dict[str, str] = {}
    for table, schema, name, kind, flags, references in lines("cdm.tsv"):
        schemas[table] = schema
        fields.setdefault(table, []).append(CdmField(name, kind, "R" in flags, "P" in flags, references))
    return {name: CdmTable(name, schemas[name], tuple(found)) for name, found in fields.items()}


def lines(name: str) -> Iterator[list[str]]:
    """The lines of a generated file beside this one."""
    with (HERE / name).open(newline="") as file:
        yield from csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
