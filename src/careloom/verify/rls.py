"""verify.rls: whoever sees a part of the patients sees, in any SQL, nothing of the others: no row, no count, no error.

Room: verify. Each statement is asked twice: by a restricted user of a store with all patients, and by somebody who sees
all of a store that holds nothing but the rows of that user. Both must be told the same, and no word that only the
rows of others hold may come back. The same statements are asked once more over Arrow Flight, where the same must come.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import Any

from careloom.fhir.outcome import OutcomeError
from careloom.fhir.resource import Resource, dumps
from careloom.lake.lake import Lake
from careloom.lake.omop.build import FILE, build
from careloom.lake.sandbox import Limits, asked
from careloom.settings import Settings
from careloom.store.actor import Actor
from careloom.verify.figure import Figure
from careloom.verify.lake_store import CLINIC, Shore, shore
from careloom.verify.progress import progress
from careloom.verify.rls_flight import asking
from careloom.verify.rls_statement import Lot, Statement

NAME = "rls"
SEED = 1_000
PATIENTS = 9
LABEL = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]}
WARD = frozenset({"Patient/p0", "Patient/p1", "Patient/p2"})
USERS = (
    Actor("ward", frozenset({"physician"}), WARD),
    Actor("one", frozenset({"physician"}), frozenset({"Patient/p4"})),
    Actor("ward-etl", frozenset({"integration"}), WARD),
    Actor("etl", frozenset({"integration"})),
)
ALL = Actor("all", frozenset({"physician"}))
LIMITS = Limits(rows=100_000, seconds=60.0, memory="300MB", threads=1)

_WRITTEN = re.compile(r"20[2-9]\d-\d\d-\d\dT[\d:.]+Z")
"""When a resource was written: no two stores agree on that."""

Told = tuple[str, Any]
"""How it ended, and the rows or the words."""


def check(settings: Settings, *, statements: int = 1_000) -> list[Figure]:
    """An equal part of the statements for each user."""
    del settings  # it needs no suite
    chance = random.Random(SEED)  # noqa: S311 - reproducible, not secret
    resources = [resource for number in range(PATIENTS) for resource in _record(number)]
    counts: Counter[str] = Counter()
    with progress(NAME, statements) as told, ExitStack() as stack:
        told("filling the stores", 0)
        whole = _filled(stack, resources)
        over_flight = stack.enter_context(asking(whole, USERS, LIMITS))
        for at, user in enumerate(USERS):
            own = [one for one in resources if _is_own(user, one)]
            words = [word for one in resources if one not in own for word in _words(one)]
            twin = _filled(stack, own)
            lot = Lot(chance, words)
            for number in range(at, statements, len(USERS)):
                told(user.id, number)
                statement = lot.draw()
                mine = _try(whole, twin, user, statement, words, counts)
                there = over_flight(user.id, _sql(whole, statement))
                _try_flight(there, mine, statement, words, counts)
    asked_for = counts["held"] + counts["leaked"] + counts["differed"]
    return [
        Figure(check=f"{NAME}.statements", passed=counts["held"], failed=asked_for - counts["held"]),
        Figure(check=f"{NAME}.foreign", value=counts["leaked"], unit="statements"),
        Figure(check=f"{NAME}.differed", value=counts["differed"], unit="statements"),
        Figure(check=f"{NAME}.answered", value=counts["answered"], unit="statements"),
        Figure(check=f"{NAME}.rows", value=counts["rows"], unit="rows"),
        Figure(
            check=f"{NAME}.flight", passed=counts["flight held"], failed=statements - counts["flight held"]
        ),
        Figure(check=f"{NAME}.flight-foreign", value=counts["flight leaked"], unit="statements"),
        Figure(check=f"{NAME}.flight-rows", value=counts["flight rows"], unit="rows"),
    ]


def _try(
    whole: Shore, twin: Shore, user: Actor, statement: Statement, words: Sequence[str], counts: Counter[str]
) -> Told:
    mine, other = _told(whole, user, statement), _told(twin, ALL, statement)
    # What the asker wrote may be said back; what is left must be of nobody else.
    if _is_foreign(mine, statement, words):
        counts["leaked"] += 1
    elif statement.is_exact and mine != other and "too-costly" not in {mine[0], other[0]}:
        # Whose time ran out on a busy machine was told nothing that could be compared.
        counts["differed"] += 1
    else:
        counts["held"] += 1
    if mine[0] == "rows":
        counts["answered"] += 1
        counts["rows"] += len(mine[1])
    return mine


def _try_flight(
    there: Told, mine: Told, statement: Statement, words: Sequence[str], counts: Counter[str]
) -> None:
    """The same once more: what was answered in this process is answered there, row for row, and what was not is not."""
    kind, told = there
    found = (kind, _plain(told) if kind == "rows" else told)
    if _is_foreign(found, statement, words):
        counts["flight leaked"] += 1
        return
    is_alike = found == mine if kind == "rows" else mine[0] != "rows"
    if is_alike or not statement.is_exact or "too-costly" in {kind, mine[0]}:
        counts["flight held"] += 1
    if kind == "rows":
        counts["flight rows"] += len(told)


def _is_foreign(told: Told, statement: Statement, words: Sequence[str]) -> bool:
    text = repr(told)
    return any(word in text and word not in statement.sql for word in words)


def _plain(rows: Iterable[Any]) -> list[str]:
    return sorted(_WRITTEN.sub("", repr(row)) for row in rows)


def _sql(store: Shore, statement: Statement) -> str:
    part = _part(store)
    return statement.sql.replace("{file}", f"{{root}}/Patient/{part}").replace("{root}", str(store.root))


def _part(store: Shore) -> str:
    return Lake(store.root).sources("Patient").parts[0].name


def _told(store: Shore, user: Actor, statement: Statement) -> Told:
    part = _part(store)
    try:
        with asked(store.database, store.root, user, _sql(store, statement), None, LIMITS) as rows:
            return "rows", _plain(rows.rows())
    except OutcomeError as error:
        return error.issues[0].code, str(error).replace(part, "{part}").replace(str(store.root), "{root}")[
            :60
        ]


def _filled(stack: ExitStack, resources: Sequence[Resource]) -> Shore:
    store = stack.enter_context(shore(NAME))
    for one in resources:
        store.flow.update(one["resourceType"], one["id"], dumps(one), CLINIC)
    store.build()
    build(Lake(store.root), store.root / FILE)
    return store


def _record(number: int) -> list[Resource]:
    """A patient whose every resource has words, numbers and years that no other has; the last observation is restricted."""
    year = 2010 + number
    mark = f"canary{'abcdefghi'[number] * 4}"
    subject = {"reference": f"Patient/p{number}"}
    found: list[Resource] = [
        {"resourceType": "Patient", "id": f"p{number}", "name": [{"family": f"{mark}name"}], "birthDate": f"19{40 + number}-02-03"}
    ]  # fmt: skip
    found += [
        {
            "resourceType": "Observation", "id": f"{mark}-o{each}", "status": "final", "subject": subject,
            "code": {"text": f"{mark}code{each}"}, "note": [{"text": f"{mark}note{each}"}],
            "valueQuantity": {"value": 7_000_000 + number * 10_000 + each * 7}, "effectiveDateTime": f"{year}-0{each + 1}-05",
        }
        for each in range(6)
    ]  # fmt: skip
    found[-1]["meta"] = LABEL
    for each in range(2):
        found.append({
            "resourceType": "Condition", "id": f"{mark}-c{each}", "subject": subject, "recordedDate": f"{year}-03-0{each + 1}",
            "code": {"text": f"{mark}ill{each}", "coding": [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": f"E11.{each}"}]},
        })  # fmt: skip
        found.append({
            "resourceType": "Encounter", "id": f"{mark}-e{each}", "status": "finished", "subject": subject,
            "class": {"code": "IMP" if each == 0 or number % 2 else "AMB"},
            "period": {"start": f"{year}-04-0{each * 5 + 1}T08:00:00Z", "end": f"{year}-04-0{each * 5 + 3}T10:00:00Z"}, "serviceType": {"text": f"{mark}service{each}"},
        })  # fmt: skip
    return found


def _is_own(user: Actor, resource: Resource) -> bool:
    """By the rule as it is told, not as the store has it."""
    patient = f"Patient/{resource['id']}" if "subject" not in resource else resource["subject"]["reference"]
    is_labelled = "meta" in resource
    return (user.patients is None or patient in user.patients) and (
        "physician" in user.roles or not is_labelled
    )


def _words(resource: Resource) -> list[str]:
    """What stands in this resource and in no other."""
    if resource["resourceType"] == "Patient":
        return [resource["name"][0]["family"], resource["birthDate"]]
    # Marts and eras tell no words of a resource, but its days, and months.
    if resource["resourceType"] == "Observation":
        value = str(resource["valueQuantity"]["value"])
        told = [resource["code"]["text"], resource["note"][0]["text"], value, resource["effectiveDateTime"]]
    elif resource["resourceType"] == "Condition":
        told = [resource["code"]["text"], resource["recordedDate"]]
    else:
        told = [
            resource["serviceType"]["text"],
            resource["period"]["start"][:10],
            resource["period"]["start"][:7],
        ]
    return [resource["id"], *told]
