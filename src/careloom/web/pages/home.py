"""web.pages.home: where one begins: the first page that the role may see; and whether the server lives.

Room: web.
"""

from __future__ import annotations

from starlette.responses import PlainTextResponse, Response

from careloom.web.call import Call
from careloom.web.road import PUBLIC, Road, page
from careloom.web.templating import navigation


def home(call: Call) -> Response:
    """Send on: an integration engineer begins with messages, who works with patients with the worklist."""
    begin = "/messages" if call.may("event.drive") else navigation(call)[0].path
    return call.go(begin)


def alive(call: Call) -> Response:
    """For a supervisor: the process answers, and the database answers it."""
    with call.site.database.connection():
        return PlainTextResponse("ok\n")


ROADS: tuple[Road, ...] = (page("/", "page", home), page("/alive", PUBLIC, alive))
