"""flow.steps.omop: the step `omop`: the CDM is brought up to the lake, and its quality is checked.

Room: flow. May import: lake.
"""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.flow.steps.work import Made, Work
from careloom.lake import gate
from careloom.lake.lake import Lake
from careloom.lake.omop import check
from careloom.lake.omop.build import FILE, attach, build
from careloom.lake.session import opened
from careloom.settings import lake_root


def step(work: Work) -> Made:
    """Build, then check. A backfill gives ids anew."""
    if work.since:
        raise OutcomeError(Issue("not-supported", "Eras span the whole of a person: the CDM has no --since."))
    root = lake_root(work.settings)
    lake = Lake(root)
    named = work.settings.omop_vocabulary
    made = build(
        lake,
        root / FILE,
        Path(named).expanduser() if named else None,
        told=lambda _name, done, total: work.told(done, total),
        is_fresh=work.is_backfill,
    )
    with opened(root) as duck:
        attach(duck, root / FILE, is_read_only=True)
        results = check.run(duck, work.now.astimezone(ZoneInfo(work.settings.time_zone)).date())
    rows = sum(made.rows.values())
    return Made(rows, lake.published.cursor, made.is_new, [gate.quality(results)], made.rows)
