"""unify.hl7v2.scene: where a conversion stands: whose patient, which visit, which order the next segment speaks of.

Room: unify. May import: store, fhir.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from careloom.fhir.facts import has_other_choice
from careloom.fhir.outcome import Issue
from careloom.unify.hl7v2.mapping import Element
from careloom.unify.hl7v2.message import Segment
from careloom.unify.hl7v2.reading import Extent, Made, Reading
from careloom.unify.hl7v2.tables import Trigger
from careloom.unify.hl7v2.times import Moment

STATED_AT = "urn:careloom:stated-at"
"""Extension: when the sender stated this; an older message must not overwrite it."""
NO_VISIT = "no visit is named"


@dataclass(slots=True)
class Order:
    """One order of a result message and what hangs on it."""

    report: Made
    request: Made
    observations: list[Made] = field(default_factory=list[Made])
    specimens: list[Made] = field(default_factory=list[Made])


@dataclass(slots=True)
class Scene:
    """The state between segments."""

    reading: Reading
    trigger: Trigger
    stated: Moment
    """When the sender recorded the event: EVN-2, else MSH-7."""
    stated_from: tuple[str, str]
    """Address and FHIR text of the field that says so."""
    occurred: Moment | None = None
    """When it happened: EVN-6."""
    patient: Made | None = None
    account: Made | None = None
    visit: Made | None = None
    visits: list[Made] = field(default_factory=list[Made])
    prior_visits: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Visit numbers that a merge took away."""
    coverage: Made | None = None
    subscriber: Made | None = None
    order: Order | None = None
    orders: list[Order] = field(default_factory=list[Order])
    specimen: Made | None = None
    clinical: Made | None = None
    """The diagnosis or procedure that a ROL after it speaks of."""
    noted: Made | None = None
    """What an NTE after it comments on."""
    pending_order: tuple[int, Segment] | None = None
    """An ORC that waits for its OBR."""
    pending_merge: tuple[int, Segment] | None = None
    """An MRG that waits for its PV1."""

    @property
    def is_result(self) -> bool:
        """True in ORU: what it says of patient and visit is a passing mention."""
        return self.trigger.kind == "result"

    @property
    def extent(self) -> Extent:
        """How much this message knows about patient and visit."""
        return "partial" if self.is_result else "whole"

    @property
    def subject(self) -> dict[str, str]:
        """Reference to the patient."""
        return self.patient.reference if self.patient else {}

    def anchor(self) -> str:
        """The resource whose age decides for what hangs on the patient."""
        return self.patient.path if self.patient else ""

    def when(self) -> str:
        """When the event happened, as FHIR text."""
        return (self.occurred or self.stated).text

    def warn(self, text: str, where: str) -> None:
        """Note what is odd but does not stop the conversion."""
        self.reading.issues.append(Issue("incomplete", text, where, "warning"))

    def fail(self, text: str, where: str) -> None:
        """Note what sends the message to quarantine."""
        self.reading.issues.append(Issue("required", text, where))


def stamp(scene: Scene, made: Made) -> None:
    """Keep on the resource when the sender stated it."""
    extensions: list[Element] = made.resource.setdefault("extension", [])
    extensions.append({"url": STATED_AT, "valueDateTime": scene.stated.text})


def stated_at(resource: Element | None) -> str:
    """When the sender stated a resource; "" where it does not say."""
    for extension in (resource or {}).get("extension", []):
        if extension.get("url") == STATED_AT:
            return str(extension.get("valueDateTime", ""))
    return ""


def overlay(made: Made, current: Element | None, unite: tuple[str, ...] = ("extension",)) -> None:
    """Keep of the current resource what the message does not speak of; lists in `unite` keep their old items too.

    The message's own items stand first, so that the ledger's targets hold.
    """
    if not current:
        return
    mine = made.resource
    for name, value in current.items():
        if name in {"id", "meta", "resourceType"}:
            continue
        if name not in mine and not has_other_choice(mine, name):
            mine[name] = value
        elif name in unite and isinstance(value, list):
            urls = {item.get("url") for item in mine[name] if name == "extension"}
            mine[name] += [
                item for item in value if item not in mine[name] and item.get("url", "") not in urls
            ]
