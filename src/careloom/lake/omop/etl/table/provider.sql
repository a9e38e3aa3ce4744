with role as (
    select id_of(practitioner.reference, 'Practitioner') as id, min(id) as role,
        arg_min(specialty[1], id) as specialty, arg_min(organization.reference, id) as place
    from "PractitionerRole" where coalesce(active, true) group by all
)
select 'Practitioner/' || p.id as key, concat_ws(' ', array_to_string(p.name[1].given, ' '), p.name[1].family) as provider_name,
    list_extract(list_filter(p.identifier, lambda i: i.system = 'http://hl7.org/fhir/sid/us-npi'), 1)."value" as npi,
    coalesce(c.concept_id, 0) as specialty_concept_id, 'Organization/' || id_of(r.place, 'Organization') as care_site_id,
    year(day_of(p.birthDate)) as year_of_birth, coalesce(g.concept_id, 0) as gender_concept_id,
    p.id as provider_source_value, said_in(r.specialty) as specialty_source_value,
    coalesce(c.source_concept_id, 0) as specialty_source_concept_id, p.gender as gender_source_value
from "Practitioner" p
left join role r on r.id = p.id
left join code c on c.codings = coded(r.specialty) and c.n = 1
left join gender g on g.code = p.gender
