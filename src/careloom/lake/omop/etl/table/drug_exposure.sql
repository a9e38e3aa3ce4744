select key, person as person_id, f.concept_id as drug_concept_id, day as drug_exposure_start_date,
    moment as drug_exposure_start_datetime, greatest(coalesce(day_of(ended), day), day) as drug_exposure_end_date,
    greatest(coalesce(moment_of(ended), moment), moment) as drug_exposure_end_datetime,
    type_concept_id as drug_type_concept_id, left(stop_reason, 20) as stop_reason, refills, quantity, days_supply, sig,
    case when route is not null then coalesce(r.concept_id, 0) end as route_concept_id, lot as lot_number, provider_id,
    visit_occurrence_id, visit_detail_id, f.source_value as drug_source_value,
    f.source_concept_id as drug_source_concept_id, coalesce(r.source_value, route[1].code) as route_source_value
from fact f left join (select codings, concept_id, source_value from code where n = 1) r on r.codings = f.route
where target = 'drug_exposure'
