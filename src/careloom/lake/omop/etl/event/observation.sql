-- A result, and each component of it, is a row of its own; a panel that only holds others has none. What has an amount,
-- or is of a laboratory or a vital sign, is a measurement unless its concept says otherwise.
with stated as (
    select id, id_of(subject.reference, 'Patient') as patient, id_of(encounter.reference, 'Encounter') as visit,
        id_of(performer[1].reference, 'Practitioner') as provider,
        coalesce(effectiveDateTime, effectivePeriod."start", effectiveInstant, issued) as began,
        any_has_code(category, ['laboratory', 'vital-signs']) as is_measured,
        code, valueQuantity, valueCodeableConcept, valueInteger,
        valueRatio.numerator.value_text || ':' || valueRatio.denominator.value_text as ratio, referenceRange[1].low.value as range_low,
        referenceRange[1].high.value as range_high,
        coalesce(valueString, valueDateTime, valueTime, cast(valueBoolean as varchar)) as words, component,
        coalesce(len(component), 0) + coalesce(len(hasMember), 0) > 0 as is_panel
    from "Observation"
    where coalesce(status, 'unknown') not in ('registered', 'cancelled', 'entered-in-error')
), valued as (
    select 'Observation/' || id as source, * exclude (id, component) from stated
    where not is_panel or words is not null or valueQuantity.value is not null or valueCodeableConcept is not null
        or valueInteger is not null or ratio is not null
    union all by name
    select 'Observation/' || id || '#component' || n as source, patient, visit, provider, began, is_measured,
        component[n].code as code, component[n].valueQuantity as valueQuantity,
        component[n].valueCodeableConcept as valueCodeableConcept, component[n].valueInteger as valueInteger,
        component[n].valueRatio.numerator.value_text || ':' || component[n].valueRatio.denominator.value_text as ratio,
        component[n].referenceRange[1].low.value as range_low,
        component[n].referenceRange[1].high.value as range_high,
        coalesce(component[n].valueString, component[n].valueDateTime, component[n].valueTime,
            cast(component[n].valueBoolean as varchar)) as words
    from stated, unnest(generate_series(1, len(component))) as numbered(n)
)
select source,
    case when is_measured or valueQuantity.value is not null or valueInteger is not null or ratio is not null
        then 'measurement' else 'observation' end as home,
    patient, visit, provider, began, 32817 as type_concept_id, coded(code) as codings, said_in(code) as said,
    coalesce(valueQuantity.value, valueInteger) as value_number,
    coalesce(words, ratio,
        coalesce(valueQuantity.comparator, '') || valueQuantity.value_text, cast(valueInteger as varchar),
        coded(valueCodeableConcept)[1].code, said_in(valueCodeableConcept)) as value_text,
    coded(valueCodeableConcept) as value_codings,
    one_coding(valueQuantity.system, valueQuantity.code, valueQuantity.unit) as unit_codings,
    coalesce(valueQuantity.code, valueQuantity.unit) as unit_text, valueQuantity.comparator as operator,
    range_low, range_high
from valued
