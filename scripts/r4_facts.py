"""r4_facts: condense the published FHIR R4 definitions into src/careloom/fhir/r4/facts.json.

Usage: python scripts/r4_facts.py hl7.fhir.r4.examples-4.0.1.tgz

The argument is the npm package `hl7.fhir.r4.examples` 4.0.1 (CC0; https://packages.fhir.org), which holds every
definition of R4 as one file each; a .tgz, a .tar.zst or a folder will do. The bundles that other projects publish
(profiles-resources.json) were seen to carry types of later releases, so they are not read.

search-ids.json is append-only: a search parameter keeps its number for ever, because rows in databases hold it.
"""

from __future__ import annotations

import io
import json
import re
import sys
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import zstandard

R4 = Path(__file__).parent.parent / "src" / "careloom" / "fhir" / "r4"
WANTED = ("StructureDefinition", "SearchParameter", "ValueSet", "CodeSystem", "CompartmentDefinition")
# Examples of search parameters, and those that only extensions define: no part of the R4 registry.
NOT_OF_THE_REGISTRY = re.compile(r"example|filter|.*-(extensions|genetic)-")
# Of every element or resource: the validator knows them by heart.
EVERYWHERE = {"ele-1", "ext-1", "dom-2", "dom-3", "dom-4", "dom-5", "ref-1", "txt-1", "txt-2"}
# Abstract patterns that no instance uses.
LOGICAL = {"Definition", "FiveWs", "Event", "Request"}

Json = dict[str, Any]


def main(arguments: list[str]) -> None:
    """Write facts.json and search-ids.json beside the module that reads them."""
    if len(arguments) != 1:
        sys.exit(__doc__)
    ids_path = R4 / "search-ids.json"
    known_ids = json.loads(ids_path.read_text("utf-8")) if ids_path.exists() else {}
    facts, ids = condensed(definitions(Path(arguments[0])), known_ids)
    (R4 / "facts.json").write_text(facts, "utf-8")
    ids_path.write_text(ids, "utf-8")
    print(f"facts.json {len(facts):,} characters, {len(json.loads(ids))} search parameter ids")


def definitions(source: Path) -> list[Json]:
    """Every definitional resource of the package, in the order of their ids."""
    resources = (json.loads(text) for name, text in _files(source) if name.startswith(WANTED))
    return sorted(resources, key=lambda resource: (resource["resourceType"], resource["id"]))


def condensed(resources: list[Json], known_ids: dict[str, int]) -> tuple[str, str]:
    """The texts of facts.json and search-ids.json; `known_ids` keep their numbers."""
    structures = [r for r in resources if r["resourceType"] == "StructureDefinition" and _is_type(r)]
    parameters = [r for r in resources if r["resourceType"] == "SearchParameter" and not _is_foreign(r)]
    codes = _Codes(resources)
    facts = {
        "types": {s["id"]: _type(s) for s in structures},
        "primitives": {s["id"]: _regex(s) for s in structures if s["kind"] == "primitive-type"},
        "elements": dict(sorted(_elements(structures, codes).items())),
        "codes": dict(sorted(codes.used.items())),
        "rules": dict(sorted(_rules(structures).items())),
        "search": dict(sorted(_search(parameters).items())),
        "compartments": {
            r["code"]: {x["code"]: x["param"] for x in r["resource"] if x.get("param")}
            for r in resources
            if r["resourceType"] == "CompartmentDefinition" and r["id"] != "example"
        },
    }
    return _lines(facts), json.dumps(_ids(facts["search"], known_ids), indent=0) + "\n"


def _files(source: Path) -> Iterator[tuple[str, bytes]]:
    if source.is_dir():
        yield from ((path.name, path.read_bytes()) for path in source.iterdir() if path.suffix == ".json")
        return
    raw = source.read_bytes()
    if source.suffix == ".zst":
        raw = zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(raw).read()
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.name.endswith(".json") else None
            if content is not None:
                yield Path(member.name).name, content.read()


def _is_type(structure: Json) -> bool:
    return structure.get("derivation") != "constraint" and structure["id"] not in LOGICAL


def _is_foreign(parameter: Json) -> bool:
    return NOT_OF_THE_REGISTRY.match(parameter["id"]) is not None


def _type(structure: Json) -> Json:
    fact: Json = {"kind": structure["kind"]}
    if structure["abstract"]:
        fact["abstract"] = True
    if "baseDefinition" in structure:
        fact["base"] = _tail(structure["baseDefinition"])
    return fact


def _regex(structure: Json) -> str:
    """The published regex of a primitive; empty where the specification gives none (boolean aside, only xhtml)."""
    for element in structure["snapshot"]["element"]:
        for kind in element.get("type", []):
            for extension in kind.get("extension", []):
                if extension["url"].endswith("/regex"):
                    return extension["valueString"]
    return ""


def _elements(structures: list[Json], codes: _Codes) -> dict[str, Json]:
    """Owner path ("Patient", "Patient.contact", "HumanName") -> element name -> its facts."""
    owners: dict[str, Json] = {}
    for structure in structures:
        if structure["kind"] == "primitive-type":
            continue
        is_resource = structure["kind"] == "resource"
        for element in structure["snapshot"]["element"]:
            owner, dot, name = element["path"].rpartition(".")
            if not dot:
                owners.setdefault(element["path"], {})
            elif element["max"] != "0":
                owners.setdefault(owner, {})[name] = _element(element, codes, is_resource=is_resource)
    return owners


def _rules(structures: list[Json]) -> dict[str, list[list[str]]]:
    """Owner -> the invariants of severity error, each as key, text and FHIRPath.

    A rule about a primitive or about one element of a data type stands with the owner of the element, for all of its
    items. So does one of a backbone element that asks about the whole resource: there %resource is what it means.
    """
    rules: dict[str, list[list[str]]] = {}
    owners = {e["path"] for s in structures for e in s["snapshot"]["element"]}
    backbones = {path.rpartition(".")[0] for path in owners}
    for structure in structures:
        for element in structure["snapshot"]["element"] if structure["kind"] != "primitive-type" else ():
            for rule in element.get("constraint", ()):
                if rule["severity"] == "error" and rule.get("expression") and rule["key"] not in EVERYWHERE:
                    owner, expression = _ruled(element["path"], rule["expression"], backbones)
                    rules.setdefault(owner, []).append([rule["key"], rule["human"], expression])
    return rules


def _ruled(path: str, expression: str, backbones: set[str]) -> tuple[str, str]:
    owner, dot, name = path.rpartition(".")
    rtype, _, below = path.partition(".")
    if below and "%resource" in expression:
        return rtype, f"{below}.all({expression})"
    return (
        (path, expression)
        if path in backbones or not dot
        else (owner, f"{name.removesuffix('[x]')}.all({expression})")
    )


def _element(element: Json, codes: _Codes, *, is_resource: bool) -> Json:
    fact: Json = {}
    if "contentReference" in element:
        fact["like"] = element["contentReference"].lstrip("#")
    else:
        is_logical_id = is_resource and element["path"].count(".") == 1 and element["path"].endswith(".id")
        types = ["id"] if is_logical_id else [_type_code(kind) for kind in element["type"]]
        fact["types"] = list(dict.fromkeys(types))
    if element["min"]:
        fact["min"] = element["min"]
    if element["max"] != "1":
        fact["many"] = True
    targets = [_tail(p) for kind in element.get("type", []) for p in kind.get("targetProfile", [])]
    if targets and "Resource" not in targets:
        fact["targets"] = list(dict.fromkeys(targets))
    binding = element.get("binding", {})
    if binding.get("strength") in {"required", "extensible"} and "valueSet" in binding:
        url = binding["valueSet"].partition("|")[0]
        key = codes.use(url) if binding["strength"] == "required" else url
        if key:
            fact[binding["strength"]] = key
    return fact


def _type_code(kind: Json) -> str:
    if not kind["code"].startswith("http://hl7.org/fhirpath/"):
        return kind["code"]
    for extension in kind.get("extension", []):
        if extension["url"].endswith("/structuredefinition-fhir-type"):
            return extension["valueUrl"]
    return "xhtml" if kind["code"].endswith("xhtml") else "string"


class _Codes:
    """Value sets of required bindings, spelt out as system -> codes where the package can enumerate them."""

    def __init__(self, resources: Iterable[Json]) -> None:
        self.used: dict[str, dict[str, list[str]]] = {}
        self._systems: dict[str, list[str]] = {}
        self._sets: dict[str, Json] = {}
        for resource in resources:
            if resource["resourceType"] == "CodeSystem" and resource.get("content") == "complete":
                self._systems[resource["url"]] = list(_concepts(resource.get("concept", [])))
            elif resource["resourceType"] == "ValueSet":
                self._sets[resource["url"]] = resource

    def use(self, url: str) -> str:
        """The key of a value set, now among `used`; empty where it cannot be enumerated (MIME types, UCUM)."""
        content: dict[str, list[str]] = {}
        for include in self._sets.get(url, {}).get("compose", {}).get("include", []):
            codes = [c["code"] for c in include.get("concept", [])] or self._systems.get(
                include.get("system"), []
            )
            if not codes or "filter" in include or "valueSet" in include:
                return ""
            content.setdefault(include["system"], []).extend(codes)
        if not content:
            return ""
        key = _tail(url)
        if self.used.setdefault(key, content) != content:
            raise ValueError(f"two value sets end in {key}")
        return key


def _concepts(concepts: list[Json]) -> Iterator[str]:
    for concept in concepts:
        yield concept["code"]
        yield from _concepts(concept.get("concept", []))


def _search(parameters: list[Json]) -> dict[str, Json]:
    """Base type -> code of the parameter -> its facts; an expression keeps only the parts of its base."""
    codes = {parameter["url"]: parameter["code"] for parameter in parameters}
    search: dict[str, Json] = {}
    for parameter in parameters:
        for base in parameter["base"]:
            fact: Json = {"type": parameter["type"]}
            parts = _parts_of(base, parameter.get("expression", ""))
            if parts:
                fact["expression"] = " | ".join(parts)
            if "target" in parameter:
                fact["targets"] = sorted(parameter["target"])
            if "component" in parameter:
                fact["components"] = [
                    [codes[c["definition"]], c["expression"]] for c in parameter["component"]
                ]
            search.setdefault(base, {})[parameter["code"]] = fact
    return {base: dict(sorted(of_base.items())) for base, of_base in search.items()}


def _union(expression: str) -> list[str]:
    """The parts between the bars that stand outside parentheses."""
    parts, depth = [""], 0
    for character in expression:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def _parts_of(base: str, expression: str) -> list[str]:
    # InsurancePlan-name is published as "name | alias", without its base.
    rooted = [f"{base}.{part}" if part[0].islower() else part for part in _union(expression)]
    return [part for part in rooted if re.match(rf"\(*{base}\b", part)]


def _ids(search: dict[str, Json], known: dict[str, int]) -> dict[str, int]:
    ids = dict(known)
    # Parameters of every type come first, so that their numbers are small and easy to know.
    for base in sorted(search, key=lambda base: (base not in {"Resource", "DomainResource"}, base)):
        for code in search[base]:
            ids.setdefault(f"{base}.{code}", max(ids.values(), default=0) + 1)
    return ids


def _tail(url: str) -> str:
    return url.rpartition("/")[2]


def _lines(facts: dict[str, Json]) -> str:
    """JSON with one line for each key of the second level, so that a change can be read as a diff."""
    sections: list[str] = []
    for name, section in facts.items():
        lines = [
            f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in section.items()
        ]
        sections.append(json.dumps(name) + ": {\n" + ",\n".join(lines) + "\n}")
    return "{\n" + ",\n".join(sections) + "\n}\n"


if __name__ == "__main__":
    main(sys.argv[1:])
