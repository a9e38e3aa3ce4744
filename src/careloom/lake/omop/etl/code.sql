-- Each list of codings that is used, with its standard concepts: those of the first coding that has one by `Maps to`.
-- Without a vocabulary the concepts are 0, and the first code is the source value.
-- https://ohdsi.github.io/CommonDataModel/dataModelConventions.html#mapping
create temp table code as
with used as (
    select codings from event union select value_codings from event union select unit_codings from event
    union select route from event
    union select coded(admit_source) from encounter
    union select coded(discharge) from encounter
    union select coded(type) from "DocumentReference" union select coded(code) from "DiagnosticReport"
    union select coded(type) from "Specimen" union select coded(collection.bodySite) from "Specimen"
    union select coded(specialty[1]) from "PractitionerRole"
), one as (
    select codings, n as position, codings[n].code as code, v.vocabulary_id
    from used, unnest(generate_series(1, len(codings))) as numbered(n)
    left join vocabulary_of v on v.system = codings[n].system
), sourced as (
    select o.*, c.concept_id as source, c.standard_concept = 'S' and c.invalid_reason is null as is_standard, c.domain_id
    from one o left join cdm.concept c on c.vocabulary_id = o.vocabulary_id and c.concept_code = o.code
), target as (
    select s.codings, s.position, t.concept_id, t.domain_id
    from sourced s
    join cdm.concept_relationship r on r.concept_id_1 = s.source and r.relationship_id = 'Maps to' and r.invalid_reason is null
    join cdm.concept t on t.concept_id = r.concept_id_2 and t.standard_concept = 'S' and t.invalid_reason is null
    union
    select codings, position, source, domain_id from sourced where is_standard
), first_mapped as (
    select codings, min(position) as position from target group by codings
), chosen as (
    select u.codings, coalesce(m.position, 1) as position, t.concept_id, t.domain_id
    from (select distinct codings from one) u
    left join first_mapped m on m.codings = u.codings
    left join target t on t.codings = m.codings and t.position = m.position
), value_of as (
    select s.codings, s.position, min(r.concept_id_2) as concept_id
    from sourced s
    join cdm.concept_relationship r on r.concept_id_1 = s.source and r.relationship_id = 'Maps to value' and r.invalid_reason is null
    group by all
)
select c.codings, row_number() over (partition by c.codings order by c.concept_id) as n, s.code as source_value,
    coalesce(s.source, 0) as source_concept_id, coalesce(c.concept_id, 0) as concept_id, c.domain_id,
    v.concept_id as value_concept_id
from chosen c
join (select codings, position, code, min(source) as source from sourced group by all) s
    on s.codings = c.codings and s.position = c.position
left join value_of v on v.codings = c.codings and v.position = c.position;

-- Each event once for each of its concepts, and the table of that concept's domain; without one, that of its kind.
create temp table fact as
select e.source || case when c.n > 1 then '#concept' || c.n else '' end as key, e.* exclude (source, home, patient, visit, provider),
    i.person, day_of(e.began) as day, moment_of(e.began) as moment, coalesce(d.target, e.home) as target,
    coalesce(c.concept_id, 0) as concept_id, coalesce(c.source_concept_id, 0) as source_concept_id, c.value_concept_id,
    coalesce(c.source_value, e.said) as source_value, 'Practitioner/' || e.provider as provider_id,
    'Encounter/' || s.root as visit_occurrence_id, case when s.is_part then 'Encounter/' || s.id end as visit_detail_id
from event e
left join identity i on i.patient = e.patient
left join stay s on s.id = e.visit
left join code c on c.codings = e.codings
left join domain_table d on d.domain = c.domain_id;
