select key, person as person_id, f.concept_id as measurement_concept_id, day as measurement_date,
    moment as measurement_datetime, strftime(moment, '%H:%M:%S') as measurement_time,
    type_concept_id as measurement_type_concept_id, o.concept_id as operator_concept_id, value_number as value_as_number,
    coalesce(f.value_concept_id, v.concept_id) as value_as_concept_id,
    case when unit_text is not null then coalesce(u.concept_id, 0) end as unit_concept_id, range_low, range_high,
    provider_id, visit_occurrence_id, visit_detail_id, f.source_value as measurement_source_value,
    f.source_concept_id as measurement_source_concept_id, unit_text as unit_source_value,
    case when unit_text is not null then coalesce(u.source_concept_id, 0) end as unit_source_concept_id,
    value_text as value_source_value
from fact f
left join code v on v.codings = f.value_codings and v.n = 1
left join code u on u.codings = f.unit_codings and u.n = 1
left join operator o on o.code = f.operator
where target = 'measurement'
