"""lake.lake: the lake as its readers have it: DuckDB connections with a view for each type.

Room: lake. May import: lake, store.actor, duckdb. https://duckdb.org/docs/stable/clients/python/overview
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import duckdb

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.lake import manifest, sight
from careloom.lake.kept.keeper import kept_table
from careloom.lake.kept.table import KeptTable
from careloom.lake.manifest import Manifest
from careloom.lake.session import opened
from careloom.lake.sight import Sources, When
from careloom.lake.table import Table
from careloom.store.actor import STATION, Actor, may
from careloom.store.visible import SEES_RESTRICTED


@dataclass(frozen=True)
class Lake:
    """One published state of the lake in a folder; a newer state is another Lake.

    `connection()` is the only way to its rows, and asks for whom.
    """

    root: Path
    views: Path | None = None
    """The folder of the site's own views, for who names them."""

    def anew(self) -> Lake:
        """The state that is published now."""
        return Lake(self.root, self.views)

    @cached_property
    def published(self) -> Manifest:
        """What can be seen. Raises OutcomeError(not-found) where nothing was built yet."""
        found = manifest.read(self.root)
        if found is None:
            text = f"There is no lake in {self.root}: `careloom lake build` makes one."
            raise OutcomeError(Issue("not-found", text))
        return found

    @property
    def types(self) -> list[str]:
        """The types that have a table."""
        return sorted(self.published.versions)

    def sources(self, rtype: str, *, may_lack: bool = False) -> Sources:
        """The files of one table. Of a type of which nothing came yet there are none: raises OutcomeError(not-found)
        unless that `may_lack`.
        """
        if rtype not in self.published.versions:
            if may_lack:
                return Sources(rtype, sight.outline(self.root, rtype), self.root / rtype, [])
            known = ", ".join(self.types) or "none"
            raise OutcomeError(
                Issue("not-found", f"The lake has no table '{rtype[:64]}'; there are: {known}.")
            )
        table = Table(self.root, rtype, self.published.versions[rtype])
        return Sources(rtype, sight.outline(self.root, rtype), table.folder, table.parts())

    @property
    def kept(self) -> list[str]:
        """The views whose rows are kept."""
        return sorted(self.published.kept)

    def kept_rows(self, name: str) -> KeptTable:
        """The rows of a kept view, as of the tables that are published with it. Raises OutcomeError(not-found)."""
        found = self.published.kept.get(name)
        if found is None:
            known = ", ".join(self.kept) or "none"
            text = f"The rows of the view '{name[:64]}' are not kept; there are: {known}."
            raise OutcomeError(Issue("not-found", text))
        return kept_table(self.root, name, found)

    def connection(
        self,
        actor: Actor = STATION,
        *,
        when: When = None,
        types: Sequence[str] | None = None,
        may_lack: bool = False,
        versions: bool = False,
        memory: str = "1GB",
    ) -> duckdb.DuckDBPyConnection:
        """A DuckDB of its own in memory, with a view for each type (or each of these) as `actor` may see it.

        `when` None: what is current; else as of a transaction (`seq_from`) or a time. `versions`: a view
        `Patient_versions` beside each, with all versions and the ends of each. `may_lack`: of a type of which nothing
        came yet, a view without rows. Close it after use.
        Raises OutcomeError: forbidden, not-found (no lake, no such table), not-supported (a time yet to come).
        """
        refuse(actor)
        self._refuse_future(when)
        connection = opened(self.root, memory)
        for rtype in self.types if types is None else types:
            sources = self.sources(rtype, may_lack=may_lack)
            sql = sight.current(sources) if when is None else sight.as_of(sources, when)
            connection.execute(f'create view "{rtype}" as {sql}')
            if versions:
                connection.execute(f'create view "{rtype}_versions" as {sight.history(sources)}')
        return connection

    def asof(self, when: int, actor: Actor = STATION) -> duckdb.DuckDBPyConnection:
        """As `connection`, as of a transaction."""
        return self.connection(actor, when=when)

    def _refuse_future(self, when: When) -> None:
        reached = self.published.cursor.tx
        if isinstance(when, int) and when >= reached:
            text = (
                f"The lake knows the store up to transaction {reached - 1}: ask for an earlier one, or build."
            )
            raise OutcomeError(Issue("not-supported", text))


def refuse(actor: Actor) -> None:
    """Who sees all that is clinical may read; rows are not told apart here (lake.sandbox does), so: no one else."""
    sees_all = actor.patients is None and actor.roles & SEES_RESTRICTED
    if not may(actor, "clinical.read") or not sees_all:
        raise OutcomeError(
            Issue("forbidden", "The lake is open to those who may read all clinical data only.")
        )
