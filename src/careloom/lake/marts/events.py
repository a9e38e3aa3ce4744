"""lake.marts.events: event tables for models that are right in time: nothing in them was known later than it says.

Room: lake. May import: lake, duckdb.

A model that is trained on what the record says today learns of corrections, late results and diagnoses that nobody had
when it would have been asked. So each event here has two times, and `known` gives, for each person and moment that is
asked of, only what stood in the store at that moment. Who was which person is also taken as it was then.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import duckdb

from careloom.lake import sight
from careloom.lake.lake import Lake, refuse
from careloom.lake.marts.mart import HERE, OMOP
from careloom.lake.omop.build import run_script
from careloom.lake.session import opened
from careloom.store.actor import STATION, Actor

TYPES = ("Condition", "Encounter", "MedicationRequest", "Observation", "Person", "Procedure")

_KNOWN = """
create temp table known as
with link as (
    select id, last_updated, replaced_at, id_of(unnest(link).target.reference, 'Patient') as patient
    from history_person where coalesce(active, true)
)
select a.patient as asked, a.as_of, e.* exclude (known_to)
from anchor a
-- The Patients that were one person with the one that is asked of, then.
join lateral (
    select distinct other.patient from link own join link other
        on other.id = own.id and other.last_updated <= a.as_of and (other.replaced_at is null or other.replaced_at > a.as_of)
    where own.patient = a.patient and own.last_updated <= a.as_of and (own.replaced_at is null or own.replaced_at > a.as_of)
    union select a.patient
) p on true
join events e on e.patient = p.patient and e.known_from <= a.as_of and (e.known_to is null or e.known_to > a.as_of)
    and e.happened_at <= a.as_of
"""


def events(lake: Lake, *, actor: Actor = STATION) -> duckdb.DuckDBPyConnection:
    """A connection with the table `events`: what happened, and from when until when it was known. Close it after use.

    Raises OutcomeError: forbidden for who may not read all clinical data; not-found without a lake.
    """
    refuse(actor)
    duck = opened(lake.root)
    for rtype in TYPES:
        sql = sight.history(lake.sources(rtype, may_lack=True))
        duck.execute(
            f"create view history_{rtype.lower()} as select * from ({sql})"
            " where not is_deleted and not is_aside"
        )
    run_script(duck, (OMOP / "etl/words.sql").read_text())
    run_script(duck, (HERE / "events.sql").read_text())
    return duck


def known(duck: duckdb.DuckDBPyConnection, anchors: Iterable[tuple[str, datetime]]) -> None:
    """Make the table `known`: for each Patient and moment the events that had happened and were known then.

    Columns: `asked` (the Patient's id), `as_of`, and those of `events` without `known_to`, which was not known either.
    """
    duck.execute("create or replace temp table anchor (patient varchar, as_of timestamptz)")
    rows = list(anchors)
    if rows:
        duck.executemany("insert into anchor values (?, ?)", rows)
    duck.execute("drop table if exists known")
    duck.execute(_KNOWN)
