-- Inpatient stays, transfers joined: an admission at most one day after the discharge from elsewhere, or on the day of
-- the discharge from the same place, goes on with the stay. So joins the measure of CMS that `readmissions` follows.
-- Length of stay is the number of midnights; a stay that has not ended has none.
create temp table stays as
with inpatient as (
    select e.id, i.person, moment_of(e.began) as began, moment_of(e.ended) as ended, e.place, e.is_elective,
        coded(e.discharge)[1].code as discharge
    from encounter e join stay s on s.id = e.id and not s.is_part join identity i on i.patient = e.patient
    join visit_class v on v.code = e.class
    where v.concept_id = 9201 and moment_of(e.began) is not null
), reached as (
    select *, max(coalesce(ended, timestamp '9999-01-01')) over w as before, lag(place) over w as place_before
    from inpatient window w as (partition by person order by began, id rows between unbounded preceding and 1 preceding)
), numbered as (
    select *, sum(case when cast(began as date) - cast(before as date)
            <= case when place is distinct from place_before then 1 else 0 end then 0 else 1 end)
        over (partition by person order by began, id rows unbounded preceding) as n
    from reached
)
select person, arg_min(id, (began, id)) as stay, list(id order by began, id) as encounters, min(began) as admitted_at,
    case when count(ended) = count(*) then max(ended) end as discharged_at,
    case when count(ended) = count(*) then cast(max(ended) as date) - cast(min(began) as date) end as days,
    arg_max(discharge, (began, id)) as discharge, arg_min(is_elective, (began, id)) as is_elective,
    arg_max(place, (began, id)) as place
from numbered group by person, n;
