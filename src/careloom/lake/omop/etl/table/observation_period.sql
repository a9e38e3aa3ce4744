-- From the first that is known of a person to the last: an inference, as records of care have no period of enrolment.
with seen as (
    select person_id, visit_start_date as began, visit_end_date as ended from cdm.visit_occurrence
    union all select person_id, condition_start_date, condition_start_date from cdm.condition_occurrence
    union all select person_id, drug_exposure_start_date, drug_exposure_start_date from cdm.drug_exposure
    union all select person_id, procedure_date, procedure_date from cdm.procedure_occurrence
    union all select person_id, device_exposure_start_date, device_exposure_start_date from cdm.device_exposure
    union all select person_id, measurement_date, measurement_date from cdm.measurement
    union all select person_id, observation_date, observation_date from cdm.observation
    union all select person_id, death_date, death_date from cdm.death
)
select k.source as key, k.source as person_id, min(began) as observation_period_start_date,
    max(ended) as observation_period_end_date, 32817 as period_type_concept_id
from seen join kept_person k on k.id = seen.person_id
group by all
