"""web.rest.searching: search on one type, by GET or by POST _search.

Room: web. Standard: https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.responses import Response

from careloom.fhir.query import parse
from careloom.flow.searchset import searchset
from careloom.web.call import Call
from careloom.web.errors import FHIR_JSON
from careloom.web.rest.answer import base_of, rtype_of


def search(call: Call) -> Response:
    """A searchset Bundle. `Prefer: handling=strict` refuses what is not understood; else it is named in the Bundle."""
    rtype, base, pairs = rtype_of(call), base_of(call), list(call.query)
    if call.method == "POST":
        pairs += parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True)
    query = parse(rtype, pairs, strict="handling=strict" in call.headers.get("prefer", ""), base=base)
    with call.reader() as reader:
        page = reader.search(query)
    return Response(searchset(base, rtype, pairs, query, page), media_type=FHIR_JSON)
