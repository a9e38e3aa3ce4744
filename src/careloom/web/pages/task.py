"""web.pages.task: one task: why, what happened so far, and what one can do: acknowledge, close, snooze, dismiss.

Room: web. May import: act.closing (what each step changes). Standard: https://hl7.org/fhir/R4/task.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.responses import Response

from careloom.act import closing
from careloom.act.task import OUTPUT, code_of
from careloom.fhir.outcome import Issue, OutcomeError
from careloom.fhir.resource import Resource
from careloom.store.read import Reader
from careloom.store.score import NEWS2, is_score
from careloom.web.banner import banner_of
from careloom.web.call import Call, local_path
from careloom.web.choice import Choice
from careloom.web.news2 import news2_of
from careloom.web.record import Evidence, Record, record_of
from careloom.web.road import Road, deed, page
from careloom.web.tasks import evidence_of, names_of, owner_of, rates_of, view_of
from careloom.web.vitals import scores
from careloom.web.wording import concept, moment

MINUTES = ("15", "30", "60")


@dataclass(frozen=True, slots=True)
class Step:
    """One line of what happened so far."""

    when: str
    who: str
    said: str
    sign: str


@dataclass(frozen=True, slots=True)
class End:
    """How a task ended."""

    title: str
    said: str
    note: str
    who: str
    when: str


def task(call: Call) -> Response:
    """The page."""
    with call.reader() as read:
        found = _task(read, call.parts["id"])
        record = record_of(read, (found.get("for") or {}).get("reference", "").rpartition("/")[2])
        evidence = Evidence(read)
        evidence_of(evidence, [found])
        names = names_of(call)
        view = view_of(call, evidence, found, rates_of(read, [found]), names)
        focus = (found.get("focus") or {}).get("reference", "")
        score = evidence.resource(focus)
        score = score if score is not None and is_score(score, NEWS2) else None
        news2 = news2_of(call, evidence, score, _before(evidence, record, score))
        patient = banner_of(call, read, record)
    return call.show(
        "task.html",
        tab="",
        patient=patient,
        task=view,
        news2=news2,
        history=_history(call, found, names),
        ended=None if view.is_open else _end(call, found, names),
        outcomes=[Choice(code, text) for code, text in closing.OUTCOMES.items()],
        dismissals=[Choice(code, text) for code, text in closing.REASONS.items()],
        minutes=MINUTES,
        here=view.href,
    )


def acknowledge(call: Call) -> Response:
    """Take it."""
    return _step(call, lambda found, _: closing.acknowledge(found, call.who.id, call.now))


def close(call: Call) -> Response:
    """Say what was done, and end it."""

    def step(found: Resource, form: dict[str, str]) -> Resource:
        return closing.close(found, form.get("outcome", ""), form.get("done", ""), call.who.id, call.now)

    return _step(call, step)


def snooze(call: Call) -> Response:
    """Put it aside for some minutes."""

    def step(found: Resource, form: dict[str, str]) -> Resource:
        minutes = form.get("minutes", "")
        if minutes not in MINUTES:
            raise OutcomeError(Issue("value", f"Snooze for {', '.join(MINUTES)} minutes.", "minutes"))
        return closing.snooze(found, int(minutes), call.who.id, call.now)

    return _step(call, step)


def dismiss(call: Call) -> Response:
    """End it without acting, with a reason."""

    def step(found: Resource, form: dict[str, str]) -> Resource:
        return closing.dismiss(found, form.get("reason", ""), form.get("note", ""), call.who.id, call.now)

    return _step(call, step)


def _step(call: Call, change: Callable[[Resource, dict[str, str]], Resource]) -> Response:
    with call.reader() as read:
        found = _task(read, call.parts["id"])
    form = call.form()
    # The version that was read guards the write: of two who act at once, the second is told.
    call.site.flow.write(change(found, form), call.who)
    return call.go(local_path(form.get("next", ""), f"/tasks/{found['id']}"))


def _task(read: Reader, task_id: str) -> Resource:
    found = read.resource("Task", task_id)
    if found is None:
        raise OutcomeError(Issue("not-found", "There is no such task, or your role may not see it."))
    return found


def _before(evidence: Evidence, record: Record, score: Resource | None) -> list[Resource]:
    """The scores before the one that the task is about: is it getting better or worse?"""
    if score is None:
        return []
    at = str(score.get("effectiveDateTime", ""))
    return [one for one in scores(evidence, record, None, count=24) if str(one.get("effectiveDateTime")) < at]


def _history(call: Call, found: Resource, names: Mapping[str, str]) -> list[Step]:
    return [
        Step(
            moment(note.get("time"), call.site.zone),
            names.get(note.get("authorString", ""), note.get("authorString", "")),
            note.get("text", ""),
            "other" if note.get("authorString") == "careloom" else "task",
        )
        for note in found.get("note", ())
    ]


def _end(call: Call, found: Resource, names: Mapping[str, str]) -> End:
    outputs = {code_of(output.get("type"), OUTPUT): output for output in found.get("output", ())}
    outcome = concept((outputs.get("outcome") or {}).get("valueCodeableConcept"))
    done = (outputs.get("text") or {}).get("valueString", "")
    end = (found.get("executionPeriod") or {}).get("end")
    return End(
        title=concept(found.get("businessStatus")) or "Ended",
        said=outcome or concept(found.get("statusReason")),
        note=done,
        who=owner_of(found, names) if found.get("owner") else "careloom",
        when=moment(end, call.site.zone),
    )


ROADS: tuple[Road, ...] = (
    page("/tasks/{id}", "clinical.read", task),
    deed("/tasks/{id}/acknowledge", "task.write", acknowledge),
    deed("/tasks/{id}/close", "task.write", close),
    deed("/tasks/{id}/snooze", "task.write", snooze),
    deed("/tasks/{id}/dismiss", "task.write", dismiss),
)
