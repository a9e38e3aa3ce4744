-- Who is known to be dead, but not since when, cannot be told here: the date is required.
with told as (
    select i.person, p.id, p.deceasedDateTime as died from identity i join "Patient" p on p.id = i.patient
    where p.deceasedDateTime is not null or p.deceasedBoolean
)
select person as person_id, day_of(arg_min(died, id)) as death_date, moment_of(arg_min(died, id)) as death_datetime,
    32817 as death_type_concept_id
from told group by person
