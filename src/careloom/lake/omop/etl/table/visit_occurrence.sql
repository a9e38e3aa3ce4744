-- A visit that has not ended: one day where nobody stays, else up to the day of the data.
with visit as (
    select e.*, i.person, v.concept_id, v.stays, day_of(e.began) as day
    from encounter e join stay s on s.id = e.id and not s.is_part
    join identity i on i.patient = e.patient left join visit_class v on v.code = e.class
)
select 'Encounter/' || id as key, person as person_id, coalesce(visit.concept_id, 0) as visit_concept_id,
    day as visit_start_date, moment_of(began) as visit_start_datetime,
    coalesce(day_of(ended), case when stays then greatest(getvariable('release'), day) else day end) as visit_end_date,
    coalesce(moment_of(ended), cast(case when stays then greatest(getvariable('release'), day) else day end as timestamp))
        as visit_end_datetime,
    32817 as visit_type_concept_id, 'Practitioner/' || provider as provider_id,
    'Organization/' || id_of(place, 'Organization') as care_site_id, visit.source_value as visit_source_value,
    0 as visit_source_concept_id, case when admit_source is not null then coalesce(a.concept_id, 0) end as admitted_from_concept_id,
    coalesce(coded(admit_source)[1].code, said_in(admit_source)) as admitted_from_source_value,
    case when discharge is not null then coalesce(d.concept_id, 0) end as discharged_to_concept_id,
    coalesce(coded(discharge)[1].code, said_in(discharge)) as discharged_to_source_value,
    'Encounter/' || lag(id) over (partition by person order by began, id) as preceding_visit_occurrence_id
from visit
left join code a on a.codings = coded(admit_source) and a.n = 1
left join code d on d.codings = coded(discharge) and d.n = 1
where day is not null
