"""fhir.bundle: transactions whose resources stay raw bytes, so that a client's digits and order are kept.

Room: fhir. May import: fhir.resource, fhir.facts, fhir.outcome, msgspec.
Standard: https://hl7.org/fhir/R4/http.html#transaction and https://hl7.org/fhir/R4/bundle.html

A transaction is done so: `read` it; give every entry its place (`places`), letting searches of the caller settle
conditional ones; `rewrite` each body with the places; commit the entries in the order of `ordered`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache

import msgspec

from careloom.fhir.facts import facts, resource_types
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import Head, head_of, minify

METHODS = ("DELETE", "POST", "PUT", "PATCH", "GET", "HEAD")
_ORDER = {"DELETE": 0, "POST": 1, "PUT": 2, "PATCH": 2, "GET": 3, "HEAD": 3}


class Entry(msgspec.Struct, frozen=True):
    """One entry of a bundle; what it lacks is "" or None."""

    index: int
    full_url: str = ""
    body: bytes | None = None
    """The bytes of the resource, without white space between tokens."""
    rtype: str = ""
    id: str = ""
    method: str = ""
    url: str = ""
    """request.url without a leading slash: `Patient`, `Patient/7`, `Patient?identifier=7`."""
    if_match: str = ""
    if_none_match: str = ""
    if_modified_since: str = ""
    if_none_exist: str = ""

    @property
    def is_conditional(self) -> bool:
        """Whether a search must say which resource the entry is about."""
        return bool(self.if_none_exist) or (self.method in {"PUT", "PATCH", "DELETE"} and "?" in self.url)

    @property
    def is_write(self) -> bool:
        """Whether it creates, updates, patches or deletes; all else reads or operates ($validate)."""
        return self.method in {"POST", "PUT", "PATCH", "DELETE"} and not self.is_operation

    @property
    def is_operation(self) -> bool:
        """Whether its address names an operation: `Patient/7/$everything`."""
        return self.url.partition("?")[0].rpartition("/")[2].startswith("$")

    @property
    def base(self) -> str:
        """The address that relative references of this entry go on from; "" where fullUrl is no REST address."""
        tail = f"/{self.rtype}/{self.id}"
        return self.full_url.removesuffix(tail) if self.full_url.endswith(tail) and self.id else ""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle of any type; only `transaction` and `batch` have requests that were checked."""

    type: str
    entries: tuple[Entry, ...]
    faults: Mapping[int, tuple[Issue, ...]] = field(default_factory=dict[int, tuple[Issue, ...]])
    """Of a batch: entry -> what is wrong with its request; the other entries are done all the same."""


class _Request(msgspec.Struct):
    method: str
    url: str
    ifMatch: str = ""  # noqa: N815 the name in JSON
    ifNoneMatch: str = ""  # noqa: N815
    ifModifiedSince: str = ""  # noqa: N815
    ifNoneExist: str = ""  # noqa: N815


class _RawEntry(msgspec.Struct):
    fullUrl: str = ""  # noqa: N815
    resource: msgspec.Raw = msgspec.Raw()
    request: _Request | None = None


class _RawBundle(msgspec.Struct):
    resourceType: str = ""  # noqa: N815
    type: str = ""
    entry: list[_RawEntry] = []


_bundle_decoder = msgspec.json.Decoder(_RawBundle)


def read(raw: bytes, own: str = "") -> Bundle:
    """Read a bundle; the resources stay bytes. Raises OutcomeError with every fault that can be seen from here.

    The address of a request may begin with `own`, that of this server.

    >>> read(b'{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Basic"}}]}').type
    'collection'
    """
    body = _plain_slashes(minify(raw))
    try:
        bundle = _bundle_decoder.decode(body)
    except msgspec.ValidationError as error:
        raise OutcomeError(
            Issue("structure", "The bundle is not valid: " + str(error), _expression(error))
        ) from None
    if bundle.resourceType != "Bundle":
        raise OutcomeError(Issue("structure", "A Bundle is expected here.", "Bundle.resourceType"))
    issues: list[Issue] = []
    entries = tuple(_entry(index, raw_entry, issues, own) for index, raw_entry in enumerate(bundle.entry))
    if bundle.type == "transaction":
        issues += [issue for entry in entries for issue in _request_issues(entry)]
        issues += _repeated(entries)
    if issues:
        raise OutcomeError(*issues)
    faults = _faults(entries) if bundle.type == "batch" else {}
    return Bundle(bundle.type, entries, faults)


def ordered(entries: Iterable[Entry]) -> list[Entry]:
    """The order in which a transaction is done: DELETE, POST, PUT and PATCH, GET and HEAD."""
    return sorted(entries, key=lambda entry: _ORDER.get(entry.method, 3))


def places(entries: Iterable[Entry], new_id: Callable[[], str], matched: Mapping[int, str]) -> dict[int, str]:
    """Index of each entry that writes -> the `Type/id` it is about.

    `matched` holds the `Type/id` (by entry index) that the search of a conditional entry found; a conditional
    PUT or POST that found nothing creates, under the id of the body (PUT) or a new one.
    """
    found: dict[int, str] = {}
    for entry in entries:
        if entry.index in matched:
            found[entry.index] = matched[entry.index]
        elif entry.method == "POST":
            found[entry.index] = f"{entry.rtype}/{new_id()}"
        elif entry.method == "PUT" and "?" in entry.url:
            found[entry.index] = f"{entry.rtype}/{entry.id or new_id()}"
        elif entry.method in {"PUT", "PATCH", "DELETE"} and "?" not in entry.url:
            found[entry.index] = entry.url
    return found


def references(entries: Iterable[Entry], placed: Mapping[int, str]) -> dict[str, str]:
    """FullUrl -> `Type/id`, for `rewrite`; the caller may add conditional references."""
    return {e.full_url: placed[e.index] for e in entries if e.full_url and e.index in placed}


def rewrite(body: bytes, targets: Mapping[str, str], base: str = "", own: str = "") -> bytes:
    """Replace every reference to a key of `targets` and nothing else; `base` is `Entry.base`.

    A Reference to what lies below `own`, this server's address, becomes relative: it is the same resource, and is to be
    found, included and kept in its compartment as such (R4 references, 2.3.0.1). R4 names what is replaced: Reference.reference, elements of type uri, url, oid and uuid, and links of the
    narrative. An Identifier whose value equals a fullUrl stays as it is.

    >>> rewrite(b'{"reference":"urn:uuid:1","value":"urn:uuid:1"}', {"urn:uuid:1": "Patient/7"})
    b'{"reference":"Patient/7","value":"urn:uuid:1"}'
    """

    names = _uri_names()

    def of_urn(match: re.Match[bytes]) -> bytes:
        target = targets.get(match[1].decode())
        colon = match.start()
        if target is None or body[body.rfind(b'"', 0, colon - 1) + 1 : colon - 1] not in names:
            return match[0]
        return b':"' + target.encode() + b'"'

    def of_address(match: re.Match[bytes]) -> bytes:
        address = match[1].decode()
        target = targets.get(address) or (targets.get(f"{base}/{address}") if base else None)
        if target is None and own and address.startswith(f"{own}/"):
            target = _local(address.removeprefix(f"{own}/"))
        return match[0] if target is None else b'"reference":"' + target.encode() + b'"'

    def of_link(match: re.Match[bytes]) -> bytes:
        target = targets.get(match[2].decode())
        return match[0] if target is None else match[1] + target.encode() + b'\\"'

    body = _ADDRESS.sub(of_address, body)
    body = _URN.sub(of_urn, body)
    return _LINK.sub(of_link, body) if b'"div":' in body else body


def _local(address: str) -> str | None:
    """An address below our own, if it is that of a resource or of a version."""
    rtype, _, rest = address.partition("/")
    return address if rtype in resource_types() and rest and "?" not in address else None


def conditional_references(body: bytes) -> list[str]:
    """References that are searches (`Patient?identifier=...`); the caller resolves each to one resource."""
    return [found.decode() for found in _CONDITIONAL.findall(body)]


# The patterns begin with plain text, which `re` finds quickly.
_URN = re.compile(rb':"(urn:[^"\\]+)"')
_ADDRESS = re.compile(rb'"reference":"(?!urn:)([^"\\]+)"')
_CONDITIONAL = re.compile(rb'"reference":"([A-Z][A-Za-z]+\?[^"\\]+)"')
_LINK = re.compile(rb'((?:href|src)=\\")([^"\\]+)\\"')


@cache
def _uri_names() -> frozenset[bytes]:
    """Keys whose value is an address that follows what it points at: Reference.reference, uri, url, oid, uuid."""
    kinds = {"uri", "url", "oid", "uuid"}
    named = {
        name
        for elements in facts().elements.values()
        for name, element in elements.items()
        if kinds.issuperset(element.types) and not element.many
    }
    return frozenset(
        name.encode() for name in {*named, "reference", "valueUri", "valueUrl", "valueOid", "valueUuid"}
    )


def _plain_slashes(body: bytes) -> bytes:
    # Some encoders (PHP's) write every slash as \/, which would hide references from the patterns.
    return re.sub(rb"(?<!\\)((?:\\\\)*)\\/", rb"\1/", body) if b"\\/" in body else body


def _entry(index: int, raw: _RawEntry, issues: list[Issue], own: str) -> Entry:
    body = bytes(raw.resource) or None
    head = Head()
    if body is not None:
        try:
            head = head_of(body)
        except msgspec.ValidationError as error:
            where = f"Bundle.entry[{index}].resource"
            issues.append(Issue("structure", "The resource is not valid: " + str(error), where))
    request = raw.request or _Request("", "")
    return Entry(
        index=index,
        full_url=raw.fullUrl,
        body=body,
        rtype=head.resourceType,
        id=head.id,
        method=request.method,
        url=(request.url.removeprefix(own) if own else request.url).removeprefix("/"),
        if_match=request.ifMatch,
        if_none_match=request.ifNoneMatch,
        if_modified_since=request.ifModifiedSince,
        if_none_exist=request.ifNoneExist,
    )


def _faults(entries: Iterable[Entry]) -> dict[int, tuple[Issue, ...]]:
    told = {entry.index: tuple(_request_issues(entry)) for entry in entries}
    return {index: issues for index, issues in told.items() if issues}


def _request_issues(entry: Entry) -> Iterable[Issue]:
    where = f"Bundle.entry[{entry.index}]"
    rtype, slash, rest = entry.url.partition("?")[0].partition("/")
    if entry.method not in METHODS:
        yield Issue("required", "The entry needs a request with a method of HTTP.", f"{where}.request.method")
    elif not entry.is_write:
        return
    elif rtype not in resource_types():
        yield Issue("value", "The address must start with a resource type of R4.", f"{where}.request.url")
    elif entry.method in {"POST", "PUT", "PATCH"} and entry.body is None:
        yield Issue("required", f"{entry.method} needs a resource.", f"{where}.resource")
    elif entry.method in {"POST", "PUT"} and entry.rtype != rtype:
        yield Issue("invalid", "The address and the resource name different types.", f"{where}.request.url")
    elif entry.method == "POST" and slash:
        yield Issue("value", "The address of a POST is a resource type alone.", f"{where}.request.url")
    elif entry.method != "POST" and "?" not in entry.url and (not rest or "/" in rest):
        yield Issue("value", "The address must be Type/id or Type?search.", f"{where}.request.url")
    elif entry.method == "PUT" and "?" not in entry.url and entry.id != rest:
        yield Issue("invalid", "The address and the resource name different ids.", f"{where}.resource.id")


def _repeated(entries: Iterable[Entry]) -> Iterable[Issue]:
    """A transaction may name each resource once (R4 http, 3.1.0.11.2; bundle, bdl-7)."""
    seen: set[str] = set()
    for entry in entries:
        is_write = entry.method in {"PUT", "PATCH", "DELETE"} and "?" not in entry.url
        for key, name in ((entry.full_url, "fullUrl"), (entry.url if is_write else "", "request.url")):
            if key and key in seen:
                yield Issue(
                    "duplicate",
                    "Another entry names the same resource.",
                    f"Bundle.entry[{entry.index}].{name}",
                )
            seen.add(key)


def _expression(error: Exception) -> str:
    """Msgspec ends its message with the place, as `$.entry[...].fullUrl`."""
    found = re.search(r"\$([\w.\[\]]*)", str(error))
    return "Bundle" + found[1].replace("[...]", "") if found else "Bundle"
