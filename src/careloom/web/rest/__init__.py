"""web.rest: FHIR REST under /fhir: one file for each group of interactions, and `POST /events`.

Room: web. Standard: https://hl7.org/fhir/R4/http.html
The CapabilityStatement is computed from this table: what stands here is what is said, and nothing else.
"""

from __future__ import annotations

from starlette.convertors import StringConvertor, register_url_convertor

from careloom.web.rest import bulk, trail
from careloom.web.rest.capability import capability
from careloom.web.rest.event import take
from careloom.web.rest.history import instance_history, system_history, type_history
from careloom.web.rest.operation import operation_roads
from careloom.web.rest.reading import read, vread
from careloom.web.rest.searching import search, search_all, search_compartment
from careloom.web.rest.system import transaction
from careloom.web.rest.writing import create, delete, patch, update
from careloom.web.road import PUBLIC, Handler, Road


class _TypeName(StringConvertor):
    """The name of a resource type begins with a capital letter; `metadata`, `_history` and `$validate` do not."""

    regex = "[A-Z][A-Za-z]*"


class _Plain(_TypeName):
    """A type that is kept as a resource; trail.py makes the others from what stands beside."""

    regex = rf"(?!(?:AuditEvent|Provenance)\b){_TypeName.regex}"


class _Id(StringConvertor):
    """A logical id; `_search`, `_history` and `$validate` are none."""

    regex = r"[A-Za-z0-9\-.]+"


class _Member(StringConvertor):
    """What of a compartment is asked for: a type, or all."""

    regex = r"\*|[A-Z][A-Za-z]*"


register_url_convertor("type", _TypeName())
register_url_convertor("plain", _Plain())
register_url_convertor("id", _Id())
register_url_convertor("member", _Member())


def _road(
    path: str, right: str, answer: Handler, method: str, *interactions: str, is_brief: bool = False
) -> Road:
    return Road(
        path=path,
        right=right,
        answer=answer,
        methods=(method,),
        speaks="fhir",
        interactions=interactions,
        is_brief=is_brief,
    )


READ = "clinical.read"
# Who writes is asked again by flow, which knows the type: a nurse may write a Task and nothing else.
WRITE = "clinical.read"

_SYSTEM = (
    _road("/fhir/metadata", PUBLIC, capability, "GET"),
    _road("/fhir", "clinical.write", transaction, "POST", "transaction", "batch"),
    _road("/fhir/", "clinical.write", transaction, "POST"),
    _road("/fhir", READ, search_all, "GET", "search-system"),
    _road("/fhir/", READ, search_all, "GET"),
    _road("/fhir/_search", READ, search_all, "POST"),
    _road("/fhir/_history", READ, system_history, "GET", "history-system"),
)
# What is asked all day comes first: a request tries the roads one after the other, at 3 us each.
_FIRST = (
    _road("/fhir/{rtype:plain}/{id:id}", READ, read, "GET", is_brief=True),
    _road("/fhir/{rtype:plain}", READ, search, "GET", "search-type", is_brief=True),
)
_INSTANCE = (
    _road("/fhir/{rtype:type}/{id}/_history/{version}", READ, vread, "GET", "vread"),
    _road("/fhir/{rtype:type}/{id}/_history", READ, instance_history, "GET", "history-instance"),
    _road("/fhir/{rtype:type}/{id}", READ, read, "GET", "read"),
    _road("/fhir/{rtype:type}/{id}", WRITE, update, "PUT", "update"),
    _road("/fhir/{rtype:type}/{id}", WRITE, patch, "PATCH", "patch"),
    _road("/fhir/{rtype:type}/{id}", WRITE, delete, "DELETE", "delete"),
)
_COMPARTMENT = (
    _road("/fhir/{rtype:type}/{id}/{member:member}", READ, search_compartment, "GET"),
    _road("/fhir/{rtype:type}/{id}/{member:member}/_search", READ, search_compartment, "POST"),
)
_TYPE = (
    _road("/fhir/{rtype:type}/_search", READ, search, "POST"),
    _road("/fhir/{rtype:type}/_history", READ, type_history, "GET", "history-type"),
    _road("/fhir/{rtype:type}", WRITE, create, "POST", "create"),
    # By condition: the address names no id.
    _road("/fhir/{rtype:type}", WRITE, update, "PUT"),
    _road("/fhir/{rtype:type}", WRITE, patch, "PATCH"),
    _road("/fhir/{rtype:type}", WRITE, delete, "DELETE"),
)
_BULK = (
    _road("/fhir/bulk/{job}", "bulk", bulk.status, "GET"),
    _road("/fhir/bulk/{job}", "bulk", bulk.end, "DELETE"),
    _road("/fhir/bulk/{job}/{name}", "bulk", bulk.file, "GET"),
)
_TRAIL = (
    _road("/fhir/AuditEvent", "audit.read|clinical.read", trail.search_audit, "GET"),
    _road("/fhir/AuditEvent/{id}", "audit.read|clinical.read", trail.read_audit, "GET"),
    _road("/fhir/Provenance", READ, trail.search_provenance, "GET"),
    _road("/fhir/Provenance/{id}", READ, trail.read_provenance, "GET"),
)
_EVENTS = Road(path="/events", right="event.write", answer=take, methods=("POST",), speaks="outcome")

ROADS: tuple[Road, ...] = (
    *_FIRST,
    *_TRAIL,
    *_SYSTEM,
    *operation_roads(),
    *_BULK,
    *_TYPE[:2],
    *_INSTANCE,
    *_TYPE[2:],
    *_COMPARTMENT,
    _EVENTS,
)
