-- What was known of a person, and when it was known. A row for each version of each resource that tells of an event:
-- it happened at `happened_at`, and was known from `known_from` until, not with, `known_to` (null: still). A correction is a new
-- row, a deletion has none. Versions that were replaced within the same instant were never seen.
create temp table events as
with told as (
    select 'Condition' as kind, id, last_updated, replaced_at, id_of(subject.reference, 'Patient') as patient, coded(code)[1] as what,
        null::double as value, null as unit, coalesce(onsetDateTime, onsetPeriod."start", recordedDate) as happened
    from history_condition where not has_code(verificationStatus, ['refuted', 'entered-in-error'])
    union all
    select 'Observation', id, last_updated, replaced_at, id_of(subject.reference, 'Patient'), coded(code)[1],
        valueQuantity.value, coalesce(valueQuantity.code, valueQuantity.unit),
        coalesce(effectiveDateTime, effectivePeriod."start", effectiveInstant, issued)
    from history_observation where coalesce(status, 'unknown') not in ('registered', 'cancelled', 'entered-in-error')
    union all
    select 'Procedure', id, last_updated, replaced_at, id_of(subject.reference, 'Patient'), coded(code)[1], null, null,
        coalesce(performedDateTime, performedPeriod."start")
    from history_procedure where coalesce(status, 'unknown') not in ('preparation', 'not-done', 'entered-in-error')
    union all
    select 'MedicationRequest', id, last_updated, replaced_at, id_of(subject.reference, 'Patient'),
        coded(medicationCodeableConcept)[1], null, null, authoredOn
    from history_medicationrequest where coalesce(status, 'unknown') not in ('cancelled', 'entered-in-error', 'draft')
    union all
    select 'Encounter', id, last_updated, replaced_at, id_of(subject.reference, 'Patient'),
        {'system': "class".system, 'code': "class".code, 'display': "class".display}, null, null, period."start"
    from history_encounter where coalesce(status, 'unknown') not in ('planned', 'cancelled', 'entered-in-error')
)
select kind, id, patient, what.system as system, what.code as code, value, unit, 
    -- An instant here, for it is compared with one; what is written without an offset is taken as UTC.
    coalesce(case when length(happened) > 19 then try_cast(happened as timestamptz) end,
        moment_of(happened) at time zone 'UTC') as happened_at,
    last_updated as known_from, replaced_at as known_to
from told where moment_of(happened) is not null and (replaced_at is null or replaced_at > last_updated);
