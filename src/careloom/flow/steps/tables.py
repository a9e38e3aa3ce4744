"""flow.steps.tables: the step `lake`: the tables of the lake are brought up to the store.

Room: flow. May import: lake.
"""

from __future__ import annotations

from careloom.flow.steps.work import Made, Work
from careloom.lake import compaction, gate
from careloom.lake.build import writing
from careloom.lake.lake import Lake
from careloom.settings import lake_root, views_root
from careloom.store import feed


def step(work: Work) -> Made:
    """Feed the lake with all there is; a backfill reads the whole store again, and with it what was set aside."""
    root = lake_root(work.settings)
    done = 0
    views = views_root(work.settings)
    with writing(work.database, root, is_fresh=work.is_backfill, wait_s=work.wait_s, views=views) as writer:
        with work.database.connection() as connection:
            work.told(0, feed.ahead(connection, writer.published.cursor))
        for rtype in writer.types:
            compaction.relay(writer, rtype)
        while heard := writer.step():
            done += heard
            work.told(done, None)
        for rtype in writer.types:
            compaction.gather(writer, rtype)
        if writer.published.at is None:
            writer.publish()
    lake = Lake(root)
    with work.database.connection() as connection:
        held = gate.gates(connection, lake, work.settings.lake_aside_share)
    return Made(done, lake.published.cursor, done > 0, held, gate.rows_of(lake))
