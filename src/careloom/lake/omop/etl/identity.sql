-- One person for all Patients that a Person links; a Patient that none links is a person of its own.
create temp table identity as
with linked as (
    select id_of(l.target.reference, 'Patient') as patient, min(p.id) as person
    from (select id, unnest(link) as l from main."Person" where coalesce(active, true)) p
    group by all
)
select p.id as patient, coalesce('Person/' || l.person, 'Patient/' || p.id) as person
from main."Patient" p left join linked l on l.patient = p.id;

-- What happened, or happens: a planned or cancelled Encounter, or one entered in error, is no visit.
create temp table encounter as
select id, id_of(partOf.reference, 'Encounter') as part_of, id_of(subject.reference, 'Patient') as patient,
    "class".code as class, period."start" as began, period."end" as ended,
    list_extract(list_filter(list_transform(participant, lambda p: id_of(p.individual.reference, 'Practitioner')),
        lambda p: p is not null), 1) as provider,
    serviceProvider.reference as place, location, hospitalization.admitSource as admit_source,
    hospitalization.dischargeDisposition as discharge, has_code(priority, ['EL']) as is_elective,
    coalesce("class".code, coded(type[1])[1].code) as source_value
from main."Encounter"
where coalesce(status, 'unknown') not in ('planned', 'cancelled', 'entered-in-error');

-- The stay in a ward is part of the stay in hospital: each Encounter with the outermost one that it is part of.
create temp table stay as
with recursive up(id, root, depth) as (
    select e.id, e.id, 0 from encounter e
    union all
    select u.id, e.part_of, u.depth + 1 from up u join encounter e on e.id = u.root
    where e.part_of in (select id from encounter) and u.depth < 16
)
select id, arg_max(root, depth) as root, max(depth) > 0 as is_part from up group by id;
