"""flow.writes: what the entries of a bundle, or one interaction, write: conditions, references, patches, then one commit.

Room: flow. Standard: https://hl7.org/fhir/R4/http.html#trules and https://hl7.org/fhir/R4/http.html#cond-update
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from urllib.parse import parse_qsl

from careloom.fhir import bundle as bundles
from careloom.fhir import patch
from careloom.fhir.bundle import Entry
from careloom.fhir.etag import versions_in
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import REPEATED, Resource, has_repeated_keys, loads
from careloom.flow.guides import Demand
from careloom.flow.parameters import defined
from careloom.flow.references import References, found
from careloom.flow.validity import validate
from careloom.store.actor import Actor, may
from careloom.store.commit import Committed, Origin, Write, commit
from careloom.store.database import Connection
from careloom.store.read import Reader
from careloom.store.turn import take_turn

MOST_DELETED = 1_000
"""Resources that one conditional delete may remove, whatever its `_count` says."""

DECIDES = frozenset({"Basic", "Encounter", "Group", "Linkage", "Location", "Patient", "Person"})
"""Types that say who is one person, and who is where: whoever is confined would let themselves out by one."""

ALONE = -1
"""Index of an entry that stands in no bundle: its issues name the resource alone."""


@dataclass(slots=True)
class _Plan:
    """What the entries are about, before anything is written."""

    matched: dict[int, str] = field(default_factory=dict[int, str])
    """Entry -> the `Type/id` that its condition found."""
    twins: dict[int, int] = field(default_factory=dict[int, int])
    """Entry -> an earlier one that creates under the same condition: it is the same resource."""
    doomed: dict[int, list[str]] = field(default_factory=dict[int, list[str]])
    """Conditional delete of several -> what it found."""


def written(
    connection: Connection,
    entries: Sequence[Entry],
    actor: Actor,
    origin: Origin,
    demand: Demand,
    own: str = "",
) -> dict[int, Committed]:
    """Commit what the entries write; by index. An entry that had nothing to do (a DELETE that matched none) is absent.

    `own` is the address of this server, as the client knows it.

    Raises OutcomeError with every fault; then nothing is to be kept of the transaction of `connection`.
    """
    read = Reader(connection, actor)
    plan = _planned(connection, read, entries, actor)
    placed = bundles.places(entries, lambda: new_id(origin.now), plan.matched)
    placed |= {index: placed[twin] for index, twin in plan.twins.items()}
    references = References(read, entries, placed, own)
    writes: list[tuple[int, Write]] = []
    standing: dict[int, Committed] = {}
    issues: list[Issue] = []
    for entry in bundles.ordered(entries):
        try:
            if entry.index in plan.twins:
                continue
            if entry.method == "POST" and entry.index in plan.matched:
                standing[entry.index] = _standing(read, placed[entry.index])
                continue
            for place in plan.doomed.get(entry.index) or filter(None, [placed.get(entry.index)]):
                require_right(actor, place.partition("/")[0])
                is_new = entry.is_conditional and entry.index not in plan.matched
                writes.append((entry.index, _write(entry, place, references, read, demand, is_new=is_new)))
        except OutcomeError as error:
            issues += [replace(issue, expression=_within(entry, issue)) for issue in error.issues]
    if issues:
        raise OutcomeError(*issues)
    done = _committed(connection, entries, writes, origin)
    defined(connection, [write for _, write in writes], done, origin.now)
    require_visible(connection, actor, done)
    answers = standing | {index: one for (index, _), one in zip(writes, done, strict=True)}
    for index, twin in plan.twins.items():
        answers[index] = answers[twin]._replace(is_changed=False, is_created=False)
    return answers


def checked(body: bytes, rtype: str = "") -> Resource:
    """The resource in these bytes, validated. Raises OutcomeError that names element and cause."""
    resource = loads(body)
    if not isinstance(resource, dict):
        raise OutcomeError(Issue("structure", "The body must be one resource, a JSON object."))
    if has_repeated_keys(body, resource):
        raise OutcomeError(Issue("structure", REPEATED))
    if rtype and resource.get("resourceType") != rtype:
        text = f"The body must be a {rtype}, as the address says."
        raise OutcomeError(Issue("invalid", text, "resourceType"))
    issues = [issue for issue in validate(resource) if issue.is_error]
    if issues:
        raise OutcomeError(*issues)
    return resource


def require_right(actor: Actor, rtype: str) -> None:
    """Raise OutcomeError(forbidden) unless the actor may write this type."""
    if not (may(actor, "clinical.write") or (rtype == "Task" and may(actor, "task.write"))):
        raise OutcomeError(Issue("forbidden", f"Your role may not write a {rtype}."))
    if actor.patients is not None and rtype in DECIDES:
        text = f"You see some patients only, and a {rtype} may decide which: you may not write it."
        raise OutcomeError(Issue("forbidden", text))


def require_visible(connection: Connection, actor: Actor, done: Sequence[Committed]) -> None:
    """Raise OutcomeError(forbidden) if an actor who sees only some patients wrote about another one."""
    if actor.patients is None:
        return
    read = Reader(connection, actor)
    for one in done:
        if read.version(one.rtype, one.id, one.version) is None:
            raise OutcomeError(Issue("forbidden", "This is not about a patient whose record you may change."))


def new_id(now: datetime) -> str:
    """A UUID of version 7 (RFC 9562): ids made one after the other lie side by side in an index."""
    milliseconds = int(now.timestamp() * 1000)
    bits = milliseconds << 80 | 0x7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)
    text = f"{bits:032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _planned(connection: Connection, read: Reader, entries: Sequence[Entry], actor: Actor) -> _Plan:
    plan = _Plan()
    makers: dict[tuple[str, str], int] = {}
    for entry in sorted((one for one in entries if one.is_conditional), key=_condition):
        rtype, condition = _condition(entry)
        require_right(actor, rtype)
        several = _several(entry)
        if several:
            plan.doomed[entry.index] = found(read, rtype, condition, several)
            continue
        place = _match(connection, read, entry)
        if place:
            plan.matched[entry.index] = place
        elif entry.method == "POST" and makers.setdefault((rtype, condition), entry.index) != entry.index:
            plan.twins[entry.index] = makers[rtype, condition]
    return plan


def _condition(entry: Entry) -> tuple[str, str]:
    rtype, _, condition = entry.url.partition("?")
    return rtype, (entry.if_none_exist or condition).removeprefix("?")


def _several(entry: Entry) -> int:
    """How many a conditional delete may remove: its `_count`; 0: one, and to match several is an error."""
    if entry.method != "DELETE":
        return 0
    count = dict(parse_qsl(entry.url.partition("?")[2])).get("_count", "")
    return min(int(count), MOST_DELETED) if count.isdecimal() else 0


def _match(connection: Connection, read: Reader, entry: Entry) -> str:
    """The `Type/id` that a conditional entry is about; "" if there is none yet.

    Where there is none, the condition is locked and asked again: of two who create at once, the later finds what the
    first has made. Entries come in the order of their conditions, so that two bundles cannot wait for one another.
    """
    rtype, condition = _condition(entry)
    matches = found(read, rtype, condition)
    if not matches and entry.method in {"POST", "PUT"}:
        take_turn(connection, f"{rtype}?{condition}")
        matches = found(read, rtype, condition)
    if len(matches) > 1:
        text = "The condition matches several resources: make it more specific."
        raise OutcomeError(Issue("multiple-matches", text, _request(entry)))
    if not matches and entry.method == "PATCH":
        raise OutcomeError(Issue("not-found", "The condition matches nothing to patch.", _request(entry)))
    if matches and entry.method == "PUT" and entry.id and matches[0] != f"{rtype}/{entry.id}":
        text = "The condition finds a resource with another id than that of the body."
        raise OutcomeError(Issue("invalid", text, _request(entry)))
    return matches[0] if matches else ""


def _write(
    entry: Entry, place: str, references: References, read: Reader, demand: Demand, *, is_new: bool
) -> Write:
    rtype, _, id_ = place.partition("/")
    versions = versions_in(entry.if_match)
    if entry.method == "DELETE":
        return Write({"resourceType": rtype, "id": id_}, None, "delete", if_match=versions)
    if entry.body is None:
        raise OutcomeError(Issue("required", f"{entry.method} needs a resource."))
    if entry.method == "PATCH":
        return _patched(read, place, entry.body, versions, demand)
    body = references.rewritten(entry, entry.body)
    resource = checked(body, rtype)
    demand.require(resource)
    resource["id"] = id_
    is_new = is_new or entry.method == "POST" or entry.if_none_match == "*"
    method = "POST" if entry.method == "POST" else "PUT"
    return Write(resource, body, "create" if is_new else "put", method, versions)


def _patched(
    read: Reader, place: str, body: bytes, versions: Collection[int] | None, demand: Demand
) -> Write:
    """The current version with a patch applied; it must still be current when it is written."""
    rtype, _, id_ = place.partition("/")
    stored = read.stored(rtype, id_)
    if stored is None or stored.is_deleted:
        raise OutcomeError(Issue("not-found" if stored is None else "deleted", "There is nothing to patch."))
    if versions is not None and stored.version not in versions:
        text = "The resource was changed meanwhile: read it again, and repeat your patch."
        raise OutcomeError(Issue("conflict", text))
    current = stored.resource()
    patched = patch.apply(current, patch.operations_of(loads(body)))
    if (patched.get("resourceType"), patched.get("id")) != (rtype, id_):
        raise OutcomeError(Issue("processing", "A patch may change neither resourceType nor id."))
    issues = [issue for issue in validate(patched) if issue.is_error]
    if issues:
        raise OutcomeError(*[replace(issue, code="processing") for issue in issues])
    demand.require(patched)
    return Write(patched, None if patched != current else stored.body, "put", "PATCH", (stored.version,))


def _standing(read: Reader, place: str) -> Committed:
    rtype, _, id_ = place.partition("/")
    stored = read.stored(rtype, id_)
    if stored is None:
        raise OutcomeError(
            Issue("transient", "What the condition found was removed meanwhile: send it again.")
        )
    return Committed(rtype, id_, stored.version, stored.last_updated, is_changed=False, is_created=False)


def _committed(
    connection: Connection, entries: Sequence[Entry], writes: Sequence[tuple[int, Write]], origin: Origin
) -> list[Committed]:
    try:
        return commit(connection, [write for _, write in writes], origin)
    except OutcomeError as error:
        if any(entry.method == "PATCH" for entry in entries) and error.issues[0].code == "conflict":
            # What was patched was replaced between our look and our lock: look again.
            raise OutcomeError(Issue("transient", error.issues[0].text)) from None
        raise


def _request(entry: Entry) -> str:
    return "" if entry.index == ALONE else f"Bundle.entry[{entry.index}].request"


def _within(entry: Entry, issue: Issue) -> str:
    """Where in the bundle an issue of one resource stands: `Bundle.entry[3].resource.name[0]`."""
    if entry.index == ALONE or issue.expression.startswith("Bundle.entry["):
        return issue.expression
    _, dot, rest = issue.expression.partition(".")
    return f"Bundle.entry[{entry.index}].resource{dot}{rest}"
