"""web.rest.searching: search on one type, on all, and in a compartment, by GET or by POST _search.

Room: web. Standard: https://hl7.org/fhir/R4/search.html and https://hl7.org/fhir/R4/http.html#search
"""

from __future__ import annotations

from starlette.responses import Response

from careloom.fhir.facts import resource_types
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.flow.searchset import searchset
from careloom.web.call import Call
from careloom.web.rest.answer import Kept, base_of, prefers, rtype_of
from careloom.web.rest.form import FORM


def search(call: Call) -> Response:
    """A searchset Bundle. `Prefer: handling=strict` refuses what is not understood; else it is named in the Bundle."""
    return _search(call, rtype_of(call))


def search_all(call: Call) -> Response:
    """A search on all types, or on those that `_type` names."""
    return _search(call, "Resource")


def search_compartment(call: Call) -> Response:
    """What of one type, or with * of all, belongs to a patient, encounter, practitioner ..."""
    wanted = call.parts["member"]
    if wanted not in {"*", *resource_types()}:
        raise OutcomeError(Issue("not-found", "R4 has no such resource type."))
    return _search(call, "Resource" if wanted == "*" else wanted, (rtype_of(call), call.parts["id"]))


def _search(call: Call, rtype: str, within: tuple[str, str] | None = None) -> Response:
    base, pairs = base_of(call), _pairs(call)
    strict = prefers(call, "handling") == "strict"
    with call.glance() as reader:
        query = reader.asked(rtype, pairs, strict=strict, base=base, within=within)
        page = reader.shown(query)
    names = ",".join(sorted({name for name, _ in pairs if not name.startswith("_cursor")}))[:500]
    call.seen("search-type", rtype, number=len(page.matches), parameters=names)
    address = "/".join((*within, call.parts["member"])) if within else rtype
    return Kept(searchset(base, address, pairs, query, page))


def _pairs(call: Call) -> list[tuple[str, str]]:
    if call.method == "POST" and call.body:
        raise OutcomeError(Issue("not-supported", f"Send the parameters of _search as {FORM}."))
    return list(call.query)
