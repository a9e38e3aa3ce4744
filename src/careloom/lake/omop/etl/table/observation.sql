select key, person as person_id, f.concept_id as observation_concept_id, day as observation_date,
    moment as observation_datetime, type_concept_id as observation_type_concept_id, value_number as value_as_number,
    case when value_number is null then value_text end as value_as_string,
    coalesce(f.value_concept_id, v.concept_id) as value_as_concept_id,
    case when unit_text is not null then coalesce(u.concept_id, 0) end as unit_concept_id, provider_id,
    visit_occurrence_id, visit_detail_id, f.source_value as observation_source_value,
    f.source_concept_id as observation_source_concept_id, unit_text as unit_source_value, status as qualifier_source_value,
    value_text as value_source_value
from fact f
left join code v on v.codings = f.value_codings and v.n = 1
left join code u on u.codings = f.unit_codings and u.n = 1
where target = 'observation'
