"""web.routes: every address of the server, in one table.

Room: web. A road names its right where it is written (web.road); nothing here is open but what says so.
"""

from __future__ import annotations

from careloom.web import auth
from careloom.web.pages import (
    browse,
    health,
    home,
    identity,
    message,
    messages,
    patients,
    pipelines,
    reports,
    resource,
    results,
    sql,
    stream,
    summary,
    task,
    timeline,
    vitals,
    worklist,
)
from careloom.web.rest import ROADS as REST
from careloom.web.road import Road

ROADS: tuple[Road, ...] = (
    *REST,
    *auth.ROADS,
    *home.ROADS,
    *stream.ROADS,
    *worklist.ROADS,
    *task.ROADS,
    *patients.ROADS,
    *summary.ROADS,
    *timeline.ROADS,
    *vitals.ROADS,
    *results.ROADS,
    *identity.ROADS,
    *messages.ROADS,
    *message.ROADS,
    *browse.ROADS,
    *sql.ROADS,
    *reports.ROADS,
    *resource.ROADS,
    *health.ROADS,
    *pipelines.ROADS,
)
