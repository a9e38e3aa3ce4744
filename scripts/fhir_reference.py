"""fhir_reference: docs/reference/fhir.md, written from the CapabilityStatement that the server gives.

Usage: python scripts/fhir_reference.py
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from careloom.web.rest.capability import statement_of
from careloom.web.rest.operation import operations, paths_of

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "fhir.md"

HEAD = """# FHIR

The FHIR R4 service stands under `/fhir`. This page is written by `python scripts/fhir_reference.py` from the CapabilityStatement
(`GET /fhir/metadata`), and a test holds it to that. Who may do what is said in [pages](pages.md), and
who sees what in [access](access.md); programs send
`Authorization: Bearer TOKEN`.

## Forms

JSON and XML, by `Accept` (with its weights) or `_format`: {formats}. What cannot be written so is answered with 406, a body of
another type with 415. `_pretty=true` indents. `_summary` (`true`, `text`, `data`, `count`, `false`) and `_elements` give parts,
which carry the tag SUBSETTED. A body may be packed with gzip. A Binary may be sent, and asked for, as what it is. What a
client sends is kept as an Event, byte for byte as it came (unpacked), with its media type; each version names its Event as the source
of its Provenance. To drive such an Event again changes nothing: the request was answered when it came.

## Versions and conditions

Every answer with a resource has `ETag` and `Last-Modified`; `If-None-Match` and `If-Modified-Since` make a read conditional (304).
`If-Match` on update, patch and delete: another current version is answered with 412. `If-None-Match: *` on an update creates
only. `If-None-Exist` on a create, and a search in the address of update, patch and delete (`PUT /fhir/Patient?identifier=...`),
make them conditional: several matches are answered with 412. A conditional delete removes one match, or with `_count=N` at
most so many (1,000).

`Prefer: return=minimal`, `representation` or `OperationOutcome` says what comes back; `Prefer: handling=strict` refuses search
parameters that are not known, which are otherwise named in the Bundle.

## Interactions

On the system: {system}. On each type: {types}.

A history takes `_since`, `_before`, `_at`, `_count` and `_sort` (`_lastUpdated`, `-_lastUpdated`), and says of each version by which
request it was made and with which status that was answered (an update that created: PUT, 201). A transaction is done as a whole or
not at all, in the order of the standard; its entries may hold conditions, references to other entries in any form
(`urn:uuid`, `urn:oid`, an address, a search), patches (a Binary that holds a JSON Patch, or Parameters), reads and operations
that do not write. Each entry of a batch is done by itself.

## Errors

Every failure is an OperationOutcome with a code, words and, where there is one, the FHIRPath of the element. No words hold
a value of a patient.

## Operations

| operation | address | methods | right |
|---|---|---|---|
"""


SEARCH = """
## Search parameters

Beside them: `_count`, `_sort` by any of them, `_include` and `_revinclude` (`:iterate`, `*`), `_total`, `_has`, chains, `_type` on the
system, and compartments (`Patient/7/Observation`, `Patient/7/*`). All modifiers of R4: `:exact`, `:contains`, `:text`, `:not`, `:in`,
`:not-in`, `:above`, `:below`, `:missing`, `:identifier`, `:of-type`, `:Type`. A value set is known when it stands here or binds an
element of R4. A quantity in a unit of UCUM finds those in every comparable unit. What an index only narrows down (words, texts
beside codes, two values of one repetition) is looked at; a search that takes longer than 30 seconds ends with an outcome.

"""


def page() -> str:
    """The text of the page."""
    (rest,) = statement_of("http://localhost:8080/fhir", datetime(2026, 1, 1, tzinfo=UTC))["rest"]
    statement = statement_of("", datetime(2026, 1, 1, tzinfo=UTC))
    some = rest["resource"][0]
    text = HEAD.format(
        formats=_listed(statement["format"]),
        system=_listed(one["code"] for one in rest["interaction"]),
        types=_listed(one["code"] for one in some["interaction"]),
    )
    for name, one in sorted(operations().items()):
        where = ", ".join(
            f"`{path.replace('{rtype:type}', 'TYPE').replace('{id}', 'ID')}`" for path in paths_of(name)
        )
        text += f"| ${name} | {where} | {', '.join(one.methods)} | `{one.right}` |\n"
    text += SEARCH
    common = set.intersection(*[_codes(one) for one in rest["resource"]])
    text += f"On every type: {_listed(sorted(common))}.\n\n| type | parameters |\n|---|---|\n"
    for one in rest["resource"]:
        text += f"| {one['type']} | {_listed(sorted(_codes(one) - common))} |\n"
    return text


def _codes(resource: Any) -> set[str]:
    return {one["name"] for one in resource["searchParam"]}


def _listed(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    PAGE.write_text(page())
