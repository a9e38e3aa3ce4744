"""A real browser: Debian's Chromium, driven by Playwright; what it needs, and what is asked of every page."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from careloom.fhir.resource import dumps
from careloom.registry import STATIONS
from careloom.store.event import Arrival, Receipt

CHROMIUM = Path("/usr/bin/chromium")
AXE = Path(__file__).with_name("vendor") / "axe.min.js"
ARGS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SHOTS = Path(__file__).parents[2] / "screenshots"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """One browser for the run."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"there is no browser at {CHROMIUM}")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Any, served: Any) -> Iterator[Callable[..., Any]]:
    """`visit("nurse")` signs in with one click and gives the page; it fails on any error of a script or the policy."""
    contexts: list[Any] = []
    troubles: list[str] = []

    def signed_in(role: str = "", scheme: str = "light") -> Any:
        context = chromium.new_context(
            base_url=served.url,
            viewport={"width": 1366, "height": 900},
            color_scheme=scheme,
            timezone_id="America/New_York",
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda line: _note(line, troubles))
        page.on("request", lambda request: _note_request(request, served.url, troubles))
        if role:
            page.goto("/sign-in")
            page.locator(f"button[value={role}]").click()
            page.wait_for_url(lambda url: "/sign-in" not in url)
        return page

    yield signed_in
    for context in contexts:
        with contextlib.suppress(Exception):
            context.close()
    assert not troubles


@pytest.fixture
def shot() -> Callable[[Any, str], None]:
    """`shot(page, "worklist-light")`: a picture for a person to look at."""
    SHOTS.mkdir(exist_ok=True)

    def take(page: Any, name: str) -> None:
        page.screenshot(path=str(SHOTS / f"{name}.png"))

    return take


@pytest.fixture
def violations() -> Callable[[Any], list[str]]:
    """What axe-core finds on a page against WCAG 2.2 AA: nothing, or the test fails."""

    def found(page: Any) -> list[str]:
        page.evaluate(AXE.read_text())
        result = page.evaluate("tags => axe.run(document, {runOnly: tags})", WCAG)
        return [
            f"{one['id']}: {node['target']} {node['failureSummary']}"
            for one in result["violations"]
            for node in one["nodes"]
        ]

    return found


def _note(line: Any, troubles: list[str]) -> None:
    # The browser's and htmx's own notes that an address was not found, or that a stream broke off, are no slips.
    harmless = ("Failed to load resource", "[object Event]")
    if line.type == "error" and not line.text.startswith(harmless):
        troubles.append(line.text)


def _note_request(request: Any, url: str, troubles: list[str]) -> None:
    if not request.url.startswith(url) and not request.url.startswith("data:"):
        troubles.append(f"A request left the machine: {request.url}")


class Story:
    """Three systems that share no key tell of one woman, each as it knows her; told through flow's front door."""

    def __init__(self, served: Any) -> None:
        self.flow = served.flow
        self.begin = datetime.now(UTC) - timedelta(hours=3)
        self.count = 0

    def admitted(self) -> None:
        """The hospital's EHR: her whole name, as it is now."""
        self.tell(
            "ehr",
            "ADT^A01^ADT_A01",
            "PID|1||4711003^^^CITY^MR||OKAFOR^Adaeze^Ngozi||19800503|F|||12 Mill Lane^^Springfield^IL^62701||5550142",
            pv1(hl7_time(self.begin)),
            "AL1|1|DA|7980^Penicillin^RXNORM|SV|Anaphylaxis",
        )

    def known_to_the_clinic(self) -> None:
        """The clinic: her maiden name, day and month swapped, her problems."""
        patient = {
            "resourceType": "Patient",
            "id": "c-2204",
            "identifier": [{"system": "urn:clinic", "value": "C-2204"}],
            "name": [{"family": "Eze", "given": ["Adaeze", "Ngozi"]}],
            "gender": "female",
            "birthDate": "1980-03-05",
            "telecom": [{"system": "phone", "value": "555-0142"}],
            "address": [
                {"line": ["12 Mill Lane"], "city": "Springfield", "state": "IL", "postalCode": "62701"}
            ],
        }
        problem = {
            "resourceType": "Condition",
            "id": "c-2204-1",
            "clinicalStatus": {
                "coding": [
                    {"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}
                ]
            },
            "code": {
                "coding": [
                    {
                        "system": "http://snomed.info/sct",
                        "code": "44054006",
                        "display": "Type 2 diabetes mellitus",
                    }
                ]
            },
            "subject": {"reference": "Patient/c-2204"},
            "recordedDate": "2019-02-14",
        }
        entries = [
            {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
            for one in (patient, problem)
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        self.flow.accept(Arrival("clinic", "fhir", dumps(bundle), "bundle-1"))
        self.settle()

    def tested(self) -> None:
        """The laboratory: no middle name, its own number, a high potassium."""
        at = hl7_time(self.begin + timedelta(minutes=20))
        self.tell(
            "lab",
            "ORU^R01^ORU_R01",
            "PID|1||L-88213^^^CITYLAB^PI||OKAFOR^Adaeze||19800503|F|||12 Mill Lane^^Springfield^IL^62701",
            f"OBR|1||R-501|24323-8^Comprehensive metabolic panel^LN|||{at}|||||||||||||||{at}|||F",
            f"OBX|1|NM|2823-3^Potassium^LN||5.9|mmol/L|3.5-5.1|H|||F|||{at}",
            f"OBX|2|NM|2160-0^Creatinine^LN||88|umol/L|45-84|H|||F|||{at}",
        )

    def measured(self, minutes: int, *vitals: str) -> None:
        """A round of vital signs: respiration, SpO2, oxygen, systolic, diastolic, pulse, temperature."""
        codes = (
            ("9279-1^Respiratory rate^LN", "/min"),
            ("59408-5^Oxygen saturation^LN", "%"),
            ("3151-8^Inhaled oxygen flow rate^LN", "L/min"),
            ("8480-6^Systolic blood pressure^LN", "mm[Hg]"),
            ("8462-4^Diastolic blood pressure^LN", "mm[Hg]"),
            ("8867-4^Heart rate^LN", "/min"),
            ("8310-5^Body temperature^LN", "Cel"),
        )
        at = hl7_time(self.begin + timedelta(minutes=minutes))
        lines = [
            f"OBX|{n}|NM|{code}||{value}|{unit}|||||F|||{at}"
            for n, ((code, unit), value) in enumerate(zip(codes, vitals, strict=True), 1)
        ]
        awake = f"OBX|8|CWE|80288-4^Level of consciousness^LN||A^Alert^ACVPU||||||F|||{at}"
        self.tell(
            "ehr",
            "ORU^R01^ORU_R01",
            "PID|1||4711003^^^CITY^MR||OKAFOR^Adaeze^Ngozi||19800503|F",
            pv1(),
            f"OBR|1||V-{minutes}|85353-1^Vital signs^LN|||{at}|||||||||||||||{at}|||F",
            *lines,
            awake,
        )

    def well(self) -> None:
        """All that is known before anything happens."""
        self.admitted()
        self.known_to_the_clinic()
        self.tested()
        for minutes, pulse in ((0, "78"), (40, "80"), (80, "84")):
            self.measured(minutes, "16", "97", "0", "128", "76", pulse, "36.8")

    def worse(self) -> None:
        """The round after which somebody must come."""
        self.measured(150, "26", "91", "2", "104", "61", "118", "38.4")

    def broken(self) -> Arrival:
        """A message that nobody can read."""
        return Arrival("ehr", "hl7v2", b"MSH|^~\\&|EHR|CITY\rPID|1||\rthis is no segment", "M99999")

    def tell(self, source: str, kind: str, *segments: str) -> Receipt:
        """Send one HL7 v2 message, and let every station hear what came of it."""
        self.count += 1
        header = f"MSH|^~\\&|{source.upper()}|CITY|CARELOOM|CITY|{hl7_time(datetime.now(UTC))}||{kind}|M{self.count:05}|P|2.5.1"
        body = "\r".join([header, *segments, ""]).encode()
        receipt = self.flow.accept(Arrival(source, "hl7v2", body, f"M{self.count:05}"))
        self.settle()
        return receipt

    def settle(self) -> None:
        """Run the stations until none hears anything new, as the engine does."""
        while any(self.flow.run_station(name) for name in STATIONS):
            pass


def pv1(admitted: str = "") -> str:
    """Her stay: class, place, attending, number, and when it began."""
    fields = {1: "1", 2: "I", 3: "WARD 3^12^A", 7: "1001^BERG^Jonas", 19: "V77003", 44: admitted}
    return "|".join(["PV1", *(fields.get(number, "") for number in range(1, 45))])


def hl7_time(at: datetime) -> str:
    """A time with its offset, as HL7 v2 writes it."""
    return at.strftime("%Y%m%d%H%M%S+0000")


@pytest.fixture
def story(served: Any) -> Story:
    """The woman of the story, not told yet."""
    return Story(served)
