select key, person as person_id, concept_id as device_concept_id, day as device_exposure_start_date,
    moment as device_exposure_start_datetime, day_of(ended) as device_exposure_end_date,
    moment_of(ended) as device_exposure_end_datetime, type_concept_id as device_type_concept_id,
    device_udi as unique_device_id, device_production as production_id, cast(quantity as integer) as quantity, provider_id,
    visit_occurrence_id, visit_detail_id, source_value as device_source_value,
    source_concept_id as device_source_concept_id
from fact where target = 'device_exposure'
