"""store.visible: which versions an actor may see: one predicate, in SQL, under every path that reads resources.

Room: store. Standard: https://hl7.org/fhir/R4/security-labels.html, https://hl7.org/fhir/R4/compartmentdefinition.html

Denied by default: without the right clinical.read nothing; an actor of some Patients sees their compartments and
nothing else (no Organization, no Practitioner); what is labelled restricted (R, V) is for physicians and stations.
"""

from __future__ import annotations

from functools import lru_cache

from careloom.fhir.outcome import Issue, OutcomeError
from careloom.store.actor import Actor, may
from careloom.store.condition import Condition
from careloom.store.hashes import COMPARTMENT_SALT, hash64

SEES_RESTRICTED = frozenset({"physician", "station"})


@lru_cache(maxsize=1024)
def visible(actor: Actor, row: str = "r") -> Condition:
    """The condition on a row of res, by its alias. Raises OutcomeError(forbidden) without clinical.read.

    Further compartments are looked up in `ix`, so that its index serves.
    """
    return _visible(actor, row, "{row}.ix && %s::bigint[]", COMPARTMENT_SALT)


def versions(actor: Actor, columns: str, condition: Condition) -> Condition:
    """Current and older versions for which the condition on alias r holds; an older one is seen by whoever may see
    both it and the current one, so that a label or a corrected subject hides the whole history.
    """
    older, current = (
        _visible(actor, "r", "coalesce({row}.also && %s::bigint[], false)", 0),
        visible(actor, "c"),
    )
    mine = visible(actor)
    sql = f"""
        select {columns} from res r where {condition.sql} and {mine.sql}
        union all
        select {columns} from hist r where {condition.sql} and {older.sql}
          and exists (select from res c where c.key = r.key and {current.sql})"""
    return Condition(
        sql, (*condition.values, *mine.values, *condition.values, *older.values, *current.values)
    )


def _visible(actor: Actor, row: str, also: str, salt: int) -> Condition:
    if not may(actor, "clinical.read"):
        text = "Your role may not read clinical data: ask an administrator for another role."
        raise OutcomeError(Issue("forbidden", text))
    label = "" if actor.roles & SEES_RESTRICTED else f" and not {row}.is_restricted"
    if actor.patients is None:
        return Condition("true" + label, ())
    keys = [hash64(patient) for patient in sorted(actor.patients)]
    sql = f"({row}.pat = any(%s) or {also.format(row=row)})"
    return Condition(sql + label, (keys, [key ^ salt for key in keys]))
