-- Occurrences of one condition with at most 30 days between them are one era. What has no concept has none.
-- https://ohdsi.github.io/CommonDataModel/sqlScripts.html
with span as (
    select person_id, condition_concept_id as concept_id, condition_start_date as began,
        coalesce(condition_end_date, condition_start_date) as ended
    from cdm.condition_occurrence where condition_concept_id <> 0
), reached as (
    select *, max(ended) over (partition by person_id, concept_id order by began, ended
        rows between unbounded preceding and 1 preceding) as before
    from span
), numbered as (
    select *, sum(case when began <= before + 30 then 0 else 1 end)
        over (partition by person_id, concept_id order by began, ended rows unbounded preceding) as era
    from reached
)
select k.source || '#' || n.concept_id || '#' || strftime(min(began), '%Y%m%d') as key, k.source as person_id,
    n.concept_id as condition_concept_id, min(began) as condition_era_start_date, max(ended) as condition_era_end_date,
    count(*) as condition_occurrence_count
from numbered n join kept_person k on k.id = n.person_id
group by k.source, n.concept_id, n.era
