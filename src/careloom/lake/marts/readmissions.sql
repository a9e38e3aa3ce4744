-- Each stay as an index, and the stay that came next. Excluded as an index: who died in it, left against advice, or whose
-- 30 days are not over on the day of the data. A readmission begins from 1 to 30 days after the discharge, for any reason, and
-- is not planned (elective). After the Hospital-Wide All-Cause Readmission measure of CMS, without its risk model and
-- its list of planned procedures: https://qualitynet.cms.gov/inpatient/measures/readmission/methodology
create temp table readmissions as
with following as (
    select s.*, lead(s.stay) over w as next_stay, lead(s.admitted_at) over w as next_admitted_at,
        lead(s.is_elective) over w as is_next_elective
    from stays s window w as (partition by person order by admitted_at, stay)
), judged as (
    select f.*, cast(f.next_admitted_at as date) - cast(f.discharged_at as date) as days_between,
        case
            when f.discharged_at is null then 'not discharged'
            when f.discharge in ('exp', '20') or cast(p.died_at as date) <= cast(f.discharged_at as date) then 'died'
            when f.discharge in ('aadvice', '07') then 'left against advice'
            when cast(f.discharged_at as date) + 30 > (select day from release) then 'not followed for 30 days'
        end as excluded
    from following f join persons p using (person)
)
select person, stay, discharged_at, next_stay, days_between, coalesce(is_next_elective, false) as is_next_planned, excluded,
    excluded is null and coalesce(days_between between 0 and 30, false) and not coalesce(is_next_elective, false) as is_readmitted
from judged;
