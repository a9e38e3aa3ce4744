-- One row for each person: all Patients that a Person links, with the Person's sex and birth date.
create temp table persons as
with gathered as (
    select i.person, list(p.id order by p.id) as patients, arg_min(p.gender, p.id) as gender,
        arg_min(p.birthDate, p.id) as birthDate, arg_min(p.address[1].postalCode, p.id) as postal_code,
        -- Who is known to be dead in one source is dead; where dates differ, the first source speaks.
        bool_or(coalesce(p.deceasedBoolean, p.deceasedDateTime is not null)) as is_dead,
        moment_of(arg_min(p.deceasedDateTime, p.id)) as died_at
    from identity i join main."Patient" p on p.id = i.patient group by i.person
)
select g.person, g.patients, coalesce(p.gender, g.gender) as gender,
    day_of(coalesce(p.birthDate, g.birthDate)) as birth_date, coalesce(g.is_dead, false) as is_dead, g.died_at, g.postal_code,
    -- As the views have it: person_patient.person_id, or patient.id where no Person links the Patient.
    split_part(g.person, '/', 2) as person_id
from gathered g left join main."Person" p on g.person = 'Person/' || p.id;
