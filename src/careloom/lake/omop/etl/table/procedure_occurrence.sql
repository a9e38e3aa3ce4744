select key, person as person_id, concept_id as procedure_concept_id, day as procedure_date, moment as procedure_datetime,
    day_of(ended) as procedure_end_date, moment_of(ended) as procedure_end_datetime,
    type_concept_id as procedure_type_concept_id, cast(quantity as integer) as quantity, provider_id,
    visit_occurrence_id, visit_detail_id, source_value as procedure_source_value,
    source_concept_id as procedure_source_concept_id
from fact where target = 'procedure_occurrence'
