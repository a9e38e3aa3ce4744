"""unify.identity.link: the station: a Patient or a ruling came, so who is one person is worked out again around it.

Room: unify. May import: store (reads), fhir. Source Patients are never changed. All that is kept are resources: keys
(Basic), Persons, review items (Linkage), rulings (Basic). What comes out is a function of the Patients and rulings
that there are, not of the order in which they came.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import Resource, dumps
from careloom.settings import settings_from
from careloom.store.feed import Change
from careloom.store.read import Reader
from careloom.unify.identity.batch import edge
from careloom.unify.identity.blocking import keyed
from careloom.unify.identity.cluster import Edge, partition
from careloom.unify.identity.neighbourhood import MOST_FOUND, Neighbourhood, Pair, hashes, linked_by, pair_of
from careloom.unify.identity.person import (
    REVIEW,
    Reason,
    closed,
    keys_resource,
    person,
    person_id,
    reason,
    retired,
    review_item,
)
from careloom.unify.identity.record import record
from careloom.unify.identity.steward import ruling_of

TYPES = frozenset({"Patient", "Basic"})

_TOLD = (
    "active",
    "address",
    "birthDate",
    "gender",
    "identifier",
    "link",
    "multipleBirthBoolean",
    "multipleBirthInteger",
    "name",
    "telecom",
)
"""Elements of a Patient that tell who it is: a change of another one is no change of identity."""


def link(change: Change, read: Reader) -> list[Resource]:
    """What changes in the identity layer because of this change; nothing if it was known already."""
    salt = _salt()
    if change.rtype == "Basic":
        found = None if change.is_deleted else ruling_of(change.resource)
        return [] if found is None else _changed(read, _around(Neighbourhood(read, salt, found.pair), read))
    patient = read.resource("Patient", change.id)
    found_keys = [] if patient is None else hashes(record(patient), salt)
    basic = keys_resource(change.id, found_keys, _digest(patient, salt))
    changed = _changed(read, [basic])
    if not changed:
        return []
    return changed + _changed(read, _around(Neighbourhood(read, salt, [change.id]), read))


@cache
def _salt() -> bytes:
    salt = settings_from().identity_salt
    if not salt:
        text = (
            "There is no secret for the keys of patients: run `careloom up`, or set CARELOOM_IDENTITY_SALT."
        )
        raise OutcomeError(Issue("required", text))
    return salt.encode()


def _digest(patient: Resource | None, salt: bytes) -> str:
    told = {name: patient[name] for name in _TOLD if name in patient} if patient else {}
    return keyed(f"{_rules()} {dumps(told).decode()}", salt)


@cache
def _rules() -> str:
    # New weights or names make every Patient new to the station, the next time that it is heard of.
    tables = (Path(__file__).with_name(name).read_bytes() for name in ("names.toml", "weights.toml"))
    return hashlib.sha256(b"".join(tables)).hexdigest()[:12]


def _changed(read: Reader, wanted: Iterable[Resource]) -> list[Resource]:
    """Those that differ from what is stored, each with the version that it replaces."""
    result: list[Resource] = []
    for each in wanted:
        known = read.resource(str(each["resourceType"]), str(each["id"]))
        if known is None:
            result.append(each)
        elif _plain(known) != _plain(each):
            meta = each.get("meta", {}) | {"versionId": known["meta"]["versionId"]}
            result.append(each | {"meta": meta})
    return result


def _plain(resource: Resource) -> bytes:
    meta = {key: value for key, value in resource.get("meta", {}).items() if key == "tag"}
    plain = resource | {"meta": meta}
    return dumps(dict(sorted(plain.items())))


def _around(around: Neighbourhood, read: Reader) -> Iterator[Resource]:
    """The Persons and review items as they ought to be around a change."""
    edges = dict(_edges(around))
    result = partition(around.members, edges.values(), around.conflict)
    yield from _persons(around, result.clusters, edges)
    yield from _reviews(around, result.clusters, result.refused, read)


def _edges(around: Neighbourhood) -> Iterator[tuple[Pair, Edge]]:
    members = set(around.members)
    pairs = {pair_of(one, two) for one in members for two in around.candidates[one] if two in members}
    for pair in sorted(pairs):
        decision = around.decision(pair)
        ruling = around.rulings.get(pair)
        if ruling and ruling.kind == "must_link":
            yield pair, Edge(*pair, 0, decision.explanation.score)
        elif not ruling and decision.grade == "link":
            yield pair, edge(pair, decision)


def _persons(
    around: Neighbourhood, clusters: Iterable[frozenset[str]], edges: dict[Pair, Edge]
) -> Iterator[Resource]:
    home: dict[str, str] = {}
    for cluster in clusters:
        founder = _founder(cluster, around.persons)
        others = sorted(cluster - {founder})
        best = {each: _best(each, founder, cluster, edges) for each in others}
        reasons = {each: _reason(around, each, best[each]) for each in others}
        ranks = {each: best[each].rank for each in others}
        made = person(
            person_id(founder), [around.patient(each) for each in (founder, *others)], reasons, ranks
        )
        home.update(dict.fromkeys(cluster, str(made["id"])))
        yield made
    for old in around.persons.values():
        if str(old["id"]) not in home.values():
            yield retired(old, {home[each] for each in linked_by(old) if each in home})


def _founder(cluster: frozenset[str], persons: dict[str, Resource]) -> str:
    """The Patient whose Person goes on: a Person keeps its id, and so its address, while its founder is in it."""
    sizes = {
        each: len(cluster & set(linked_by(persons[person_id(each)])))
        for each in cluster
        if person_id(each) in persons
    }
    return min(cluster, key=lambda each: (-sizes.get(each, 0), each))


def _best(patient: str, founder: str, cluster: frozenset[str], edges: dict[Pair, Edge]) -> Edge:
    """The link to the founder if there is one, else the strongest to another member."""
    own = (edge for pair, edge in edges.items() if patient in pair and cluster.issuperset(pair))
    return min(own, key=lambda edge: (founder not in {edge.one, edge.two}, edge.order))


def _reason(around: Neighbourhood, patient: str, best: Edge) -> Reason:
    pair = (best.one, best.two)
    rule = "must-link" if best.rank == 0 else ""
    return reason(patient, best.two if best.one == patient else best.one, around.decision(pair), rule)


def _reviews(
    around: Neighbourhood, clusters: Iterable[frozenset[str]], refused: Iterable[Edge], read: Reader
) -> Iterator[Resource]:
    home = {each: number for number, cluster in enumerate(clusters) for each in cluster}
    guarded = {pair_of(edge.one, edge.two) for edge in refused}
    pairs = {pair_of(one, two) for one in around.members for two in around.candidates[one]} | guarded
    waiting: set[str] = set()
    for pair in sorted(pairs):
        decision = around.decision(pair)
        is_open = pair in guarded or decision.grade == "review"
        if is_open and pair not in around.rulings and home.get(pair[0]) != home.get(pair[1]):
            item = review_item(reason(*pair, decision, "cluster-guard" if pair in guarded else ""))
            waiting.add(str(item["id"]))
            yield item
    references = ",".join(f"Patient/{each}" for each in around.concerned)
    for item in read.find("Linkage", ("item", references), ("_tag", f"{REVIEW}|open"), count=MOST_FOUND):
        if str(item["id"]) not in waiting:
            one, two = (str(each["resource"]["reference"]).rpartition("/")[2] for each in item["item"])
            yield closed(item, is_linked=one in home and home[one] == home.get(two))
