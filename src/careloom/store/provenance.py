"""store.provenance: who, when, by what and from which Event, seen as FHIR Provenance.

Room: store. Pure. Standard: https://hl7.org/fhir/R4/provenance.html

Nothing is stored twice: the columns beside a version say it, and this says it in FHIR.
"""

from __future__ import annotations

import re

from careloom.fhir.instant import instant
from careloom.fhir.resource import Resource
from careloom.store.deed import CREATE
from careloom.store.hashes import hash64
from careloom.store.stored import Stored

PARTICIPANT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
OPERATION = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
EVENT = "urn:careloom:event"
"""System of the identifier of an Event, in entity.what."""
ACTOR = "urn:careloom:actor"
AGENT = "urn:careloom:agent"

_ID = re.compile(r"([0-9a-f]{16})\.([1-9][0-9]{0,8})")


def provenance_of(stored: Stored) -> Resource:
    """The Provenance of one version."""
    agents = [_agent("author", ACTOR, stored.actor_id)]
    if stored.agent:
        agents.append(_agent("assembler", AGENT, stored.agent))
    resource: Resource = {
        "resourceType": "Provenance",
        "id": provenance_id(stored),
        "target": [{"reference": f"{stored.rtype}/{stored.id}/_history/{stored.version}"}],
        "recorded": instant(stored.last_updated),
        "activity": {"coding": [{"system": OPERATION, "code": _operation(stored)}]},
        "agent": agents,
    }
    if stored.event_id is not None:
        what = {"identifier": {"system": EVENT, "value": str(stored.event_id)}}
        resource["entity"] = [{"role": "source", "what": what}]
    return resource


def provenance_id(stored: Stored) -> str:
    """The id under which the Provenance of a version is read."""
    return f"{hash64(f'{stored.rtype}/{stored.id}') & (1 << 64) - 1:016x}.{stored.version}"


def version_named(id_: str) -> tuple[int, int] | None:
    """(key of the resource, version) that the id of a Provenance names; None if it is not one of ours."""
    match = _ID.fullmatch(id_)
    if match is None:
        return None
    unsigned = int(match[1], 16)
    return (unsigned ^ 1 << 63) - (1 << 63), int(match[2])


def _agent(kind: str, system: str, name: str) -> Resource:
    return {
        "type": {"coding": [{"system": PARTICIPANT, "code": kind}]},
        "who": {"identifier": {"system": system, "value": name}},
    }


def _operation(stored: Stored) -> str:
    if stored.is_deleted:
        return "DELETE"
    return "CREATE" if stored.deed.status == CREATE.status else "UPDATE"
