select key, person as person_id, concept_id as condition_concept_id, day as condition_start_date,
    moment as condition_start_datetime, day_of(ended) as condition_end_date, moment_of(ended) as condition_end_datetime,
    type_concept_id as condition_type_concept_id, stop_reason, provider_id, visit_occurrence_id, visit_detail_id,
    source_value as condition_source_value, source_concept_id as condition_source_concept_id,
    status as condition_status_source_value
from fact where target = 'condition_occurrence'
