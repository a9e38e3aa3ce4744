-- Encounters within a visit, and each place within an Encounter of which it is known from when on it was taken.
with detail as (
    select 'Encounter/' || e.id as key, s.root, e.patient, e.class, e.began, e.ended, e.provider, e.source_value,
        'Organization/' || id_of(e.place, 'Organization') as place,
        case when e.part_of <> s.root then 'Encounter/' || e.part_of end as parent
    from encounter e join stay s on s.id = e.id and s.is_part
    union all
    select 'Encounter/' || e.id || '#location' || n, s.root, e.patient, e.class, e.location[n].period."start",
        coalesce(e.location[n].period."end", e.ended), e.provider, e.location[n].location.display,
        'Location/' || id_of(e.location[n].location.reference, 'Location'),
        case when s.is_part then 'Encounter/' || e.id end
    from encounter e join stay s on s.id = e.id, unnest(generate_series(1, len(e.location))) as numbered(n)
    where e.location[n].period."start" is not null
), placed as (
    select d.*, i.person, v.concept_id, v.stays, day_of(began) as day
    from detail d join identity i on i.patient = d.patient left join visit_class v on v.code = d.class
)
select key, person as person_id, coalesce(concept_id, 0) as visit_detail_concept_id, day as visit_detail_start_date,
    moment_of(began) as visit_detail_start_datetime,
    coalesce(day_of(ended), case when stays then greatest(getvariable('release'), day) else day end) as visit_detail_end_date,
    coalesce(moment_of(ended), cast(case when stays then greatest(getvariable('release'), day) else day end as timestamp))
        as visit_detail_end_datetime,
    32817 as visit_detail_type_concept_id, 'Practitioner/' || provider as provider_id, place as care_site_id,
    source_value as visit_detail_source_value, 0 as visit_detail_source_concept_id,
    lag(key) over (partition by root, parent order by began, key) as preceding_visit_detail_id,
    parent as parent_visit_detail_id, 'Encounter/' || root as visit_occurrence_id
from placed where day is not null
