with stated as (
    select i.person, p.id, p.gender, p.birthDate, address_key(p.address[1]) as address,
        id_of(p.generalPractitioner[1].reference, 'Practitioner') as provider,
        p.managingOrganization.reference as place,
        list_extract(list_filter(p.extension, lambda e: e.url like '%/us-core-race'), 1).extension as race,
        list_extract(list_filter(p.extension, lambda e: e.url like '%/us-core-ethnicity'), 1).extension as ethnicity
    from identity i join "Patient" p on p.id = i.patient
), coded_ones as (
    select *, list_transform(list_filter(race, lambda e: e.url = 'ombCategory'), lambda e: e.valueCoding.code) as races,
        list_transform(list_filter(ethnicity, lambda e: e.url = 'ombCategory'), lambda e: e.valueCoding.code) as ethnicities
    from stated
), gathered as (
    -- Where sources differ, the one with the first id speaks; what the identity has decided on (below) goes before it.
    select person, arg_min(gender, id) as gender, arg_min(birthDate, id) as birthDate, arg_min(address, id) as address,
        arg_min(provider, id) as provider, arg_min(place, id) as place, arg_min(races, id) filter (len(races) > 0) as races,
        arg_min(ethnicities, id) filter (len(ethnicities) > 0) as ethnicities, string_agg(id, ' ' order by id) as ids
    from coded_ones group by person
), decided as (
    select g.* exclude (gender, birthDate), coalesce(p.gender, g.gender) as gender,
        coalesce(p.birthDate, g.birthDate) as birthDate
    from gathered g left join "Person" p on g.person = 'Person/' || p.id
)
select d.person as key, coalesce(g.concept_id, 0) as gender_concept_id,
    year(day_of(birthDate)) as year_of_birth, case when length(birthDate) >= 7 then month(day_of(birthDate)) end as month_of_birth,
    case when length(birthDate) >= 10 then day(day_of(birthDate)) end as day_of_birth,
    case when length(birthDate) >= 10 then cast(day_of(birthDate) as timestamp) end as birth_datetime,
    coalesce(r.concept_id, 0) as race_concept_id, coalesce(e.concept_id, 0) as ethnicity_concept_id,
    address as location_id, 'Practitioner/' || provider as provider_id, 'Organization/' || id_of(place, 'Organization') as care_site_id,
    ids as person_source_value, d.gender as gender_source_value, 0 as gender_source_concept_id,
    array_to_string(races, ' ') as race_source_value, 0 as race_source_concept_id,
    array_to_string(ethnicities, ' ') as ethnicity_source_value, 0 as ethnicity_source_concept_id
from decided d
left join gender g on g.code = d.gender
-- Who gives several races has none of the single ones.
left join race r on len(d.races) = 1 and r.code = d.races[1]
left join ethnicity e on len(d.ethnicities) = 1 and e.code = d.ethnicities[1]
