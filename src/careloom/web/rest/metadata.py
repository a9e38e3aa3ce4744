"""web.rest.metadata: what $meta, $meta-add and $meta-delete share: the Meta of a resource, read and changed.

Room: web. Standard: https://hl7.org/fhir/R4/resource.html#Meta
A change makes a new version, so that it is seen in the history and by whoever follows the feed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from careloom.fhir.instant import instant
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import Resource
from careloom.web.call import Call
from careloom.web.rest.answer import fhir, rtype_of
from careloom.web.rest.operation import parameters_of
from careloom.web.rest.reading import there

Meta = dict[str, Any]
LISTS = ("profile", "tag", "security")


def of_meta(call: Call) -> Response:
    """The Meta of the current version."""
    rtype, id_ = rtype_of(call), call.parts["id"]
    with call.reader() as reader:
        resource = there(reader.stored(rtype, id_)).resource()
    return _returned(resource["meta"])


def changed(call: Call, change: Callable[[Meta, Meta], Meta]) -> Response:
    """Change the Meta by the one that is given, and answer with what it is now."""
    given = parameters_of(call).values.get("meta", [])
    if len(given) != 1 or not isinstance(given[0], dict):
        raise OutcomeError(Issue("required", "Send Parameters with one parameter `meta`, a Meta.", "meta"))
    rtype, id_ = rtype_of(call), call.parts["id"]
    with call.reader() as reader:
        resource: Resource = there(reader.stored(rtype, id_)).resource()
    wanted = change(resource["meta"], given[0])
    written = call.site.flow.write(resource | {"meta": wanted}, call.who)
    # Not read again: by a label it may now be hidden from who has just put it on.
    return _returned(
        wanted | {"versionId": str(written.version), "lastUpdated": instant(written.last_updated)}
    )


def added(meta: Meta, more: Meta) -> Meta:
    """The Meta with more in its lists.

    >>> added({"tag": [{"code": "a"}]}, {"tag": [{"code": "a"}, {"code": "b"}]})
    {'tag': [{'code': 'a'}, {'code': 'b'}]}
    """
    known = {name: {_identity(one) for one in meta.get(name, [])} for name in LISTS}
    fresh = {name: [one for one in more.get(name, []) if _identity(one) not in known[name]] for name in LISTS}
    return meta | {name: [*meta.get(name, []), *fresh[name]] for name in LISTS if fresh[name]}


def removed(meta: Meta, less: Meta) -> Meta:
    """The Meta with less in its lists.

    >>> removed({"tag": [{"code": "a", "display": "A"}]}, {"tag": [{"code": "a"}]})
    {}
    """
    gone = {name: {_identity(one) for one in less.get(name, [])} for name in LISTS}
    lists = {name: [one for one in meta.get(name, []) if _identity(one) not in gone[name]] for name in LISTS}
    return {k: v for k, v in meta.items() if k not in LISTS} | {k: v for k, v in lists.items() if v}


def _identity(one: Any) -> tuple[str, str]:
    """A tag is its system and code; its display does not matter."""
    return (str(one.get("system", "")), str(one.get("code", ""))) if isinstance(one, dict) else ("", str(one))


def _returned(meta: Meta) -> Response:
    return fhir({"resourceType": "Parameters", "parameter": [{"name": "return", "valueMeta": meta}]})
