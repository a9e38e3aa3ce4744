"""verify.us_core: every search that US Core 6.1.0 says a server SHALL have, and everything it must be able to show, over HTTP.

Room: verify. Touches: a home of its own, loopback. Sources: see verify.us_core_suite.

The examples of the guide (of types that it has none of, those of R4) are stored; each search is made of the values of a resource that conforms to the profile, and
must find that resource. What no example has cannot be searched for, and is counted as not shown.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from careloom.fhir.instant import instant, interval
from careloom.fhir.resource import Resource, dumps, loads
from careloom.flow import Flow
from careloom.settings import Settings
from careloom.store.accounts import create_token
from careloom.store.body import kept_of
from careloom.store.database import Database
from careloom.store.server import ensure
from careloom.verify.figure import Figure
from careloom.verify.scratch import free_port, scratch_home
from careloom.verify.us_core_suite import (
    EXAMPLES,
    R4,
    SUITE,
    Group,
    Parameter,
    examples,
    groups,
    more_examples,
    shows,
    values,
)
from careloom.web.server import Server, app

CANDIDATES = 3
"""Resources of a profile from which each search is made."""


def check(settings: Settings) -> list[Figure]:
    """Store the examples, make every search, look at everything that must be shown."""
    suite, package = settings.conformance / SUITE, settings.conformance / EXAMPLES
    absent = [path for path in (SUITE, EXAMPLES, R4) if not (settings.conformance / path).exists()]
    if absent:
        return [Figure(check="us-core", note=f"The suite {absent[0]} is absent: set CARELOOM_CONFORMANCE.")]
    known = groups(suite)
    found = list(examples(package))
    found += list(
        more_examples(
            settings.conformance / R4, {one.rtype for one in known} - {one["resourceType"] for one in found}
        )
    )
    with scratch_home("us-core") as home, serving(home) as client:
        refused = _stored(client, found)
        searches = [result for group in known for result in searched(client, group, found)]
        shown = [result for group in known for result in shown_of(client, group, found)]
    held = [result for result in shown if result is not None]
    return [
        Figure(check="us-core.examples", passed=len(found) - refused, failed=refused),
        Figure(
            check="us-core.searches", passed=searches.count(True), failed=len(searches) - searches.count(True)
        ),
        Figure(check="us-core.searches-without-data", value=searches.count(None), unit="searches"),
        Figure(check="us-core.must-supports", passed=held.count(True), failed=held.count(False)),
        Figure(check="us-core.must-supports-without-data", value=shown.count(None), unit="elements"),
    ]


@contextmanager
def serving(home: Path) -> Generator[httpx.Client]:
    """A server over an empty store, and a client that may read and write."""
    settings = Settings(home=home, port=free_port())
    database = Database(ensure(settings).url)
    database.migrate()
    with database.connection() as connection:
        token = create_token(connection, "verify", ["source"])
    server = Server(app(settings, database, Flow(database, settings)), settings)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.02)
    headers = {"authorization": f"Bearer {token}", "content-type": "application/fhir+json"}
    base = f"http://127.0.0.1:{settings.port}/fhir"
    try:
        with httpx.Client(base_url=base, headers=headers, timeout=60) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(20)
        database.close()


def searched(client: httpx.Client, group: Group, found: Sequence[Resource]) -> list[bool | None]:
    """Of each search whether it holds; None: no resource of the profile has a value for it."""
    candidates = _candidates(group, found)
    return [_search_holds(client, group, search, candidates) for search in group.searches]


def shown_of(client: httpx.Client, group: Group, found: Sequence[Resource]) -> list[bool | None]:
    """Of each must-support whether a resource that has it is given back whole; None: no resource has it."""
    candidates = _candidates(group, found)
    having = [
        *([one for one in candidates if values(one, path)] for path in group.elements),
        *([one for one in candidates if shows(one, slice_)] for slice_ in group.slices),
        *([one for one in candidates if url in values(one, f"{path}.url")] for path, url in group.extensions),
    ]
    return [_is_shown(client, some) for some in having]


def _stored(client: httpx.Client, found: Sequence[Resource]) -> int:
    """Store them; how many were refused."""
    entries = [
        {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
        for one in found
    ]
    body = dumps({"resourceType": "Bundle", "type": "batch", "entry": entries})
    answer = loads(client.post("/", content=body).content)
    return sum(not entry["response"]["status"].startswith("2") for entry in answer["entry"])


def _candidates(group: Group, found: Sequence[Resource]) -> list[Resource]:
    of_type = [one for one in found if one["resourceType"] == group.rtype]
    claimed = [one for one in of_type if group.profile in _profiles(one)]
    return claimed or of_type


def _profiles(resource: Resource) -> list[str]:
    return [url.partition("|")[0] for url in resource.get("meta", {}).get("profile", [])]


def _search_holds(
    client: httpx.Client, group: Group, search: Sequence[Parameter], candidates: Sequence[Resource]
) -> bool | None:
    tried = 0
    for candidate in candidates:
        asked = [(one, text) for one in search if (text := _asked(candidate, one))]
        if len(asked) < len(search):
            continue
        tried += 1
        if not all(_finds(client, group, candidate, pairs) for pairs in _variants(asked)):
            return False
        plain = [(one.name, text) for one, text in asked]
        if tried == 1 and not (
            _by_post(client, group, candidate, plain) and _brings(client, group, candidate, plain)
        ):
            return False
        if tried == CANDIDATES:
            break
    return True if tried else None


def _variants(asked: Sequence[tuple[Parameter, str]]) -> list[list[tuple[str, str]]]:
    """The search itself; with each comparator that must be understood; with several values."""
    plain = [(one.name, text) for one, text in asked]
    found = [plain]
    for index, (one, text) in enumerate(asked):
        rest = plain[:index] + plain[index + 1 :]
        found += [[*rest, (one.name, _compared(comparator, text))] for comparator in one.comparators]
        if one.is_or:
            found.append([*rest, (one.name, f"{text},none-such")])
    return found


def _compared(comparator: str, text: str) -> str:
    """A value that the one in the resource is greater than, less than ...: a day away, so that a period serves too."""
    low, high = interval(text.removeprefix("gt"))
    if comparator in {"gt", "ge", "sa"}:
        return comparator + instant(low - timedelta(days=1))
    # A period may last: what begins before the end of time did begin.
    return comparator + (instant(high + timedelta(days=1)) if not text.startswith("gt") else "2199")


def _finds(client: httpx.Client, group: Group, candidate: Resource, pairs: Sequence[tuple[str, str]]) -> bool:
    params = httpx.QueryParams([*pairs, ("_count", "1000")])
    answer = client.get(f"/{group.rtype}", params=params, headers={"prefer": "handling=strict"})
    return answer.status_code == 200 and candidate["id"] in _matches(answer, group.rtype)  # noqa: PLR2004


def _by_post(
    client: httpx.Client, group: Group, candidate: Resource, pairs: Sequence[tuple[str, str]]
) -> bool:
    form = {"content-type": "application/x-www-form-urlencoded"}
    answer = client.post(f"/{group.rtype}/_search", data={**dict(pairs), "_count": "1000"}, headers=form)
    return answer.status_code == 200 and candidate["id"] in _matches(answer, group.rtype)  # noqa: PLR2004


def _brings(
    client: httpx.Client, group: Group, candidate: Resource, pairs: Sequence[tuple[str, str]]
) -> bool:
    """Whether the includes of the group are understood, and bring nothing but what the standard lets them bring."""
    beside = [("_include", one) for one in group.includes] + [
        ("_revinclude", one) for one in group.revincludes
    ]
    return all(_finds(client, group, candidate, [*pairs, one]) for one in beside)


def _matches(answer: httpx.Response, rtype: str) -> set[str]:
    entries: list[Any] = loads(answer.content).get("entry", [])
    matches = [one["resource"] for one in entries if one["search"]["mode"] == "match"]
    return {one["id"] for one in matches} if all(one["resourceType"] == rtype for one in matches) else set()


def _asked(candidate: Resource, one: Parameter) -> str:
    """The value of the candidate as it stands in an address; "" if it has none."""
    found = [text for path in one.paths for value in values(candidate, path) if (text := _text(value))]
    return found[0].removeprefix("Patient/") if found and one.name == "patient" else found[0] if found else ""


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value.replace("\\", "\\\\").replace(",", "\\,").replace("$", "\\$").replace("|", "\\|")
    if not isinstance(value, dict):
        return str(value).lower() if isinstance(value, bool) else ""
    if "coding" in value:
        return next((_coding(one) for one in value["coding"] if one.get("code")), "")
    if "reference" in value:
        return str(value["reference"])
    if "start" in value or "end" in value:
        # What lasts is not within the moment at which it began: it is after the day before.
        return _compared("gt", str(value.get("start") or value["end"]))
    if "code" in value or "system" in value:
        return _coding(value)
    words = [value.get(name) for name in ("family", "city", "state", "postalCode", "text")]
    return next((_text(word) for word in words if isinstance(word, str)), "")


def _coding(value: dict[str, Any]) -> str:
    code = value.get("code") or value.get("value", "")
    return f"{value['system']}|{code}" if "system" in value else str(code)


def _is_shown(client: httpx.Client, having: Sequence[Resource]) -> bool | None:
    if not having:
        return None
    answer = client.get(f"/{having[0]['resourceType']}/{having[0]['id']}")
    return answer.status_code == 200 and kept_of(loads(answer.content)) == kept_of(having[0])  # noqa: PLR2004
