"""lake.omop.kind: what each kind of data quality check counts, as SQL on the CDM.

Room: lake. May import: nothing. The kinds, their meaning and Kahn's categories are those of the DataQualityDashboard
(https://ohdsi.github.io/DataQualityDashboard; Kahn et al. 2016, https://doi.org/10.13063/2327-9214.1244); the SQL is ours.

A check counts over a source (what stands after FROM; the table itself is `t` there) the rows that violate, and all rows
that it is about. Checks over one source are asked in one query.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

GRACE_DAYS = 60
"""So long after a death there may still be records, as the dashboard has it."""
VISIT_DAYS = 7
MALE, FEMALE = 8507, 8532


class Counted(NamedTuple):
    """What is counted: aggregates over a source."""

    source: str
    violated: str
    rows: str


@dataclass(frozen=True, slots=True)
class Place:
    """What a check is about."""

    table: str
    field: str
    concept: str
    arguments: tuple[str, ...]

    @property
    def column(self) -> str:
        """The field in SQL."""
        return f't."{self.field}"'

    @property
    def source(self) -> str:
        """The table in SQL."""
        return f"cdm.{self.table} t"

    @property
    def where(self) -> str:
        """The rows of the concept."""
        return f"{self.column} in ({self.concept})"


def counted(name: str, place: Place) -> Counted:
    """What a check of this kind counts."""
    return _KINDS[name](place)


def _all(place: Place, violated: str, source: str = "") -> Counted:
    return Counted(source or place.source, f"count(*) filter ({violated})", "count(*)")


def _joined(place: Place, other: str) -> str:
    return f"{place.source} join cdm.{other} o on o.person_id = t.person_id"


def _day(column: str) -> str:
    return f"cast({column} as date)"


def _required(place: Place) -> Counted:
    return _all(place, f"{place.column} is null")


def _datatype(place: Place) -> Counted:
    number = f"try_cast({place.column} as double)"
    return _all(place, f"{place.column} is not null and ({number} is null or {number} <> round({number}))")


def _primary_key(place: Place) -> Counted:
    source = f"(select count(*) as n from {place.source} where {place.column} is not null group by {place.column}) g"
    return Counted(source, "sum(n) filter (n > 1)", "sum(n)")


def _foreign_key(place: Place) -> Counted:
    table, key = (each.lower() for each in place.arguments)
    source = (
        f"{place.source} left join (select distinct {key} as k from cdm.{table}) f on f.k = {place.column}"
    )
    return _all(place, f"{place.column} is not null and f.k is null", source)


def _concept(place: Place) -> str:
    return f"{place.source} left join cdm.concept c on c.concept_id = {place.column}"


def _domain(place: Place) -> Counted:
    wanted = place.arguments[0].replace("_", " ")
    return _all(place, f"c.concept_id <> 0 and c.domain_id <> '{wanted}'", _concept(place))


def _class(place: Place) -> Counted:
    wanted = place.arguments[0].replace("_", " ")
    return _all(place, f"c.concept_id <> 0 and c.concept_class_id <> '{wanted}'", _concept(place))


def _standard(place: Place) -> Counted:
    fault = "c.concept_id <> 0 and (c.standard_concept is distinct from 'S' or c.invalid_reason is not null)"
    return _all(place, fault, _concept(place))


def _zero(place: Place) -> Counted:
    return _all(place, f"{place.column} = 0")


def _source_values(place: Place) -> Counted:
    concept = f't."{place.arguments[0].lower()}"'
    return Counted(
        place.source,
        f"count(distinct {place.column}) filter ({concept} = 0)",
        f"count(distinct {place.column})",
    )


def _limit(place: Place) -> tuple[str, str]:
    """The field and the bound that it is compared with, both of one type."""
    bound = place.arguments[0]
    if "GETDATE" in bound:
        year = bound.startswith("YEAR")
        return place.column if year else _day(place.column), (
            "year($today) + 1" if year else "cast($today + 1 as date)"
        )
    if bound.startswith("'"):
        day = bound.strip("'")
        return _day(place.column), f"date '{day[:4]}-{day[4:6]}-{day[6:]}'"
    return place.column, bound


def _low(place: Place) -> Counted:
    column, bound = _limit(place)
    return Counted(place.source, f"count(*) filter ({column} < {bound})", f"count({place.column})")


def _high(place: Place) -> Counted:
    column, bound = _limit(place)
    return Counted(place.source, f"count(*) filter ({column} > {bound})", f"count({place.column})")


def _after(place: Place) -> Counted:
    table, field = (each.lower() for each in place.arguments)
    if table == place.table:
        own = f't."{field}"'
        return _all(place, f"{_day(place.column)} < {_day(own)}")
    other = _BORN if field == "birth_datetime" else f'o."{field}"'
    return _all(place, f"{_day(place.column)} < {_day(other)}", _joined(place, table))


_BORN = "coalesce(o.birth_datetime, make_date(o.year_of_birth, coalesce(o.month_of_birth, 1), coalesce(o.day_of_birth, 1)))"


def _after_birth(place: Place) -> Counted:
    fault = f"{_day(place.column)} < {_day(_BORN)}"
    return Counted(_joined(place, "person"), f"count(*) filter ({fault})", f"count({place.column})")


def _in_life(place: Place) -> Counted:
    fault = f"{_day(place.column)} > o.death_date + {GRACE_DAYS}"
    return Counted(_joined(place, "death"), f"count(*) filter ({fault})", f"count({place.column})")


def _in_visit(place: Place) -> Counted:
    source = f"{place.source} join cdm.visit_occurrence v on v.visit_occurrence_id = t.visit_occurrence_id"
    day = _day(place.column)
    return _all(
        place,
        f"{day} < v.visit_start_date - {VISIT_DAYS} or {day} > v.visit_end_date + {VISIT_DAYS}",
        source,
    )


def _before_end(place: Place) -> Counted:
    end = f't."{place.arguments[0].lower()}"'
    return _all(place, f"{_day(place.column)} > {_day(end)}")


def _gender(place: Place) -> Counted:
    wanted = MALE if place.arguments[0].lower() == "male" else FEMALE
    return Counted(
        _joined(place, "person"),
        f"count(*) filter ({place.where} and o.gender_concept_id <> {wanted})",
        f"count(*) filter ({place.where})",
    )


def _gender_below(place: Place) -> Counted:
    wanted = MALE if place.arguments[0].lower() == "male" else FEMALE
    below = f"select descendant_concept_id from cdm.concept_ancestor where ancestor_concept_id in ({place.concept})"
    source = f"(select distinct t.*, o.gender_concept_id as sex from {_joined(place, 'person')} where {place.column} in ({below})) t"
    return Counted(source, f"count(*) filter (sex <> {wanted})", "count(*)")


def _units(place: Place) -> Counted:
    about = f"{place.where} and t.value_as_number is not null and nullif(t.unit_source_value, '') is not null"
    allowed = place.arguments[0].replace("_", "") if place.arguments else ""
    # Without a list no unit at all is plausible: the value is a count or a ratio.
    fault = f"t.unit_concept_id not in ({allowed})" if allowed else "t.unit_concept_id is not null"
    return Counted(place.source, f"count(*) filter ({about} and {fault})", f"count(*) filter ({about})")


def _person_completeness(place: Place) -> Counted:
    source = f"cdm.person p left join (select distinct person_id from {place.source}) s on s.person_id = p.person_id"
    return Counted(source, "count(*) filter (s.person_id is null)", "count(*)")


def _era_completeness(_place: Place) -> Counted:
    source = (
        "(select distinct person_id from cdm.condition_occurrence) p left join"
        " (select distinct person_id from cdm.condition_era) s on s.person_id = p.person_id"
    )
    return Counted(source, "count(*) filter (s.person_id is null)", "count(*)")


def _overlap(_place: Place) -> Counted:
    source = (
        "(select person_id, bool_or(began <= before + 1) as meets from (select person_id,"
        " observation_period_start_date as began, max(observation_period_end_date) over (partition by person_id"
        " order by observation_period_start_date, observation_period_end_date, observation_period_id"
        " rows between unbounded preceding and 1 preceding) as before from cdm.observation_period) group by person_id) g"
    )
    return Counted(source, "count(*) filter (meets)", "count(*)")


def _without_unit(place: Place) -> Counted:
    fault = "t.value_as_number is not null and coalesce(t.unit_concept_id, 0) = 0"
    return Counted(place.source, f"count(*) filter ({fault})", "count(t.value_as_number)")


def _without_unit_text(place: Place) -> Counted:
    fault = "t.value_as_number is not null and nullif(t.unit_source_value, '') is null and coalesce(t.unit_concept_id, 0) = 0"
    return Counted(place.source, f"count(*) filter ({fault})", "count(t.value_as_number)")


def _observed(place: Place) -> Counted:
    within = (
        f"(select p.person_id as who, x.day as at from (select distinct t.person_id, {_day(place.column)} as day from {place.source}) x"
        " join cdm.observation_period p on p.person_id = x.person_id and x.day between"
        " p.observation_period_start_date and p.observation_period_end_date group by all) w"
    )
    source = f"{place.source} left join {within} on w.who = t.person_id and w.at = {_day(place.column)}"
    return Counted(
        source,
        f"count(*) filter (w.who is null and {place.column} is not null)",
        f"count({place.column})",
    )


_KINDS: dict[str, Callable[[Place], Counted]] = {
    "measurePersonCompleteness": _person_completeness,
    "measureConditionEraCompleteness": _era_completeness,
    "measureObservationPeriodOverlap": _overlap,
    "isRequired": _required,
    "cdmDatatype": _datatype,
    "isPrimaryKey": _primary_key,
    "isForeignKey": _foreign_key,
    "fkDomain": _domain,
    "fkClass": _class,
    "isStandardValidConcept": _standard,
    "measureValueCompleteness": _required,
    "standardConceptRecordCompleteness": _zero,
    "sourceConceptRecordCompleteness": _zero,
    "sourceValueCompleteness": _source_values,
    "plausibleValueLow": _low,
    "plausibleValueHigh": _high,
    "plausibleTemporalAfter": _after,
    "plausibleDuringLife": _in_life,
    "withinVisitDates": _in_visit,
    "plausibleAfterBirth": _after_birth,
    "plausibleBeforeDeath": _in_life,
    "plausibleStartBeforeEnd": _before_end,
    "plausibleGender": _gender,
    "plausibleGenderUseDescendants": _gender_below,
    "plausibleUnitConceptIds": _units,
    "valueWithoutUnitConcept": _without_unit,
    "valueWithoutUnit": _without_unit_text,
    "withinObservationPeriod": _observed,
}

NEEDS_VOCABULARY = frozenset({
    "measureConditionEraCompleteness", "fkDomain", "fkClass", "isStandardValidConcept",
    "standardConceptRecordCompleteness", "sourceConceptRecordCompleteness", "sourceValueCompleteness",
    "plausibleGender", "plausibleGenderUseDescendants", "plausibleUnitConceptIds", "valueWithoutUnitConcept",
})  # fmt: skip
"""Kinds that say nothing where no vocabulary is loaded; neither does a reference into one."""
