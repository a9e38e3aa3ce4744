"""verify.us_core_suite: what US Core 6.1.0 asks of a server, as Inferno's metadata says it, and resources that show it.

Room: verify. Sources: inferno-framework/us-core-test-kit (generated/v6.1.0/metadata.yml) and the examples of the package
hl7.fhir.us.core 6.1.0.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from careloom.connect.archive import members
from careloom.fhir.resource import Resource, loads

SUITE = Path("inferno") / "us-core.tar.zst"
METADATA = "us_core_test_kit/generated/v6.1.0/metadata.yml"
R4 = Path("fhir-r4-definitions") / "hl7.fhir.r4.examples-4.0.1.tar.zst"
EXAMPLES = Path("fhir-r4-definitions") / "us-core" / "us_core_610.tgz"

_EXTENSION = re.compile(r"extension\.where\(url='([^']+)'\)\.(\w+)")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One search parameter of a group: where its values stand, and which comparators must be understood."""

    name: str
    paths: tuple[str, ...]
    comparators: tuple[str, ...]
    is_or: bool
    """Whether several values with a comma between must be understood."""


@dataclass(frozen=True, slots=True)
class Group:
    """One profile: its searches that must be there, and what a server must be able to show."""

    name: str
    rtype: str
    profile: str
    searches: tuple[tuple[Parameter, ...], ...]
    elements: tuple[str, ...]
    slices: tuple[dict[str, Any], ...]
    extensions: tuple[tuple[str, str], ...]
    """(path, url)"""
    includes: tuple[str, ...]
    revincludes: tuple[str, ...]


def groups(archive: Path) -> list[Group]:
    """Every profile of the metadata."""
    for name, stream in members(archive, lambda _: None):
        if name.endswith(METADATA):
            metadata = yaml.safe_load(stream.read())
            return [_group(_plain(one)) for one in metadata[":groups"]]
    return []


def examples(package: Path) -> Iterator[Resource]:
    """The examples of the guide."""
    with tarfile.open(package) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.name.startswith("package/example/") else None
            if content is not None and member.name.endswith(".json"):
                resource = loads(content.read())
                if isinstance(resource, dict) and "resourceType" in resource and "id" in resource:
                    yield resource


def more_examples(package: Path, types: Collection[str]) -> Iterator[Resource]:
    """The examples of R4 of these types."""
    for name, stream in members(package, lambda _: None) if types else ():
        if name.rpartition("/")[2].partition("-")[0] in types:
            resource = loads(stream.read())
            if "id" in resource and resource["resourceType"] in types:
                yield resource


def values(resource: Resource, path: str) -> list[Any]:
    """Everything that stands at a path of the metadata; slices in it are not told apart.

    >>> values({"name": [{"given": ["A", "B"]}], "effectiveDateTime": "2020"}, "name.given")
    ['A', 'B']
    >>> values({"name": [{"given": ["A", "B"]}], "effectiveDateTime": "2020"}, "effective[x]")
    ['2020']
    """
    match = _EXTENSION.fullmatch(path)
    if match:
        found = [one for one in resource.get("extension", []) if one.get("url") == match[1]]
        return [one[match[2]] for one in found if match[2] in one]
    here: list[Any] = [resource]
    for segment in filter(None, path.split(".")):
        name = segment.partition(":")[0].removesuffix("[x]")
        here = [inner for one in here if isinstance(one, dict) for inner in _named(one, name)]
    return here


def shows(resource: Resource, one: dict[str, Any]) -> bool:
    """Whether a resource has the slice of a must-support."""
    what = one["discriminator"]
    path = one["path"]
    if what["type"] == "type":
        kind = str(what["code"])
        name = path.removesuffix("[x]") + kind[:1].upper() + kind[1:]
        return bool(values(resource, name))
    below = ".".join(filter(None, (path, what.get("path", ""))))
    items = values(resource, below)
    if what["type"] == "value":
        return any(
            all(wanted["value"] in values(item, wanted["path"]) for wanted in what["values"])
            for item in items
        )
    wanted = what.get("values", [what])
    return any(_is_coded(item, code) for item in items for code in wanted)


def _is_coded(item: Any, wanted: Any) -> bool:
    codings = item.get("coding", [item]) if isinstance(item, dict) else [{"code": item}]
    code, system = (wanted, None) if isinstance(wanted, str) else (wanted.get("code"), wanted.get("system"))
    return any(
        (code is None or one.get("code") == code) and (system is None or one.get("system", system) == system)
        for one in codings
    )


def _named(owner: dict[str, Any], name: str) -> Iterator[Any]:
    keys = (
        [name]
        if name in owner
        else [key for key in owner if re.fullmatch(f"{re.escape(name)}[A-Z]\\w*", key)]
    )
    for key in keys:
        value = owner[key]
        yield from value if isinstance(value, list) else [value]


def _group(one: dict[str, Any]) -> Group:
    known = one["search_definitions"]
    shall = [search["names"] for search in one["searches"] if search["expectation"] == "SHALL"]
    must = one["must_supports"]
    return Group(
        name=one["name"],
        rtype=one["resource"],
        profile=one["profile_url"],
        searches=tuple(tuple(_parameter(name, known[name]) for name in names) for names in shall),
        elements=tuple(element["path"] for element in must["elements"]),
        slices=tuple(must["slices"]),
        extensions=tuple((one["path"], one["url"]) for one in must["extensions"]),
        includes=tuple(one["include_params"]),
        revincludes=tuple(one["revincludes"]),
    )


def _parameter(name: str, definition: dict[str, Any]) -> Parameter:
    comparators = [key for key, word in definition["comparators"].items() if word == "SHALL"]
    return Parameter(
        name, tuple(definition["paths"]), tuple(comparators), definition["multiple_or"] == "SHALL"
    )


def _plain(value: Any) -> Any:
    """Ruby's symbols are words with a colon before them."""
    if isinstance(value, dict):
        return {_plain(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value[1:] if isinstance(value, str) and re.fullmatch(r":\w+", value) else value
