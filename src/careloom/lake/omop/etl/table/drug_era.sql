-- Exposures to one ingredient with at most 30 days between them are one era; the ingredients come of CONCEPT_ANCESTOR.
-- gap_days: days of an era without drug. https://ohdsi.github.io/CommonDataModel/sqlScripts.html
with span as (
    select distinct d.drug_exposure_id, d.person_id, c.concept_id, d.drug_exposure_start_date as began,
        coalesce(d.drug_exposure_end_date, d.drug_exposure_start_date) as ended
    from cdm.drug_exposure d join cdm.concept_ancestor a on a.descendant_concept_id = d.drug_concept_id
    join cdm.concept c on c.concept_id = a.ancestor_concept_id
    where c.concept_class_id = 'Ingredient' and c.standard_concept = 'S'
), reached as (
    select *, max(ended) over (partition by person_id, concept_id order by began, ended, drug_exposure_id
        rows between unbounded preceding and 1 preceding) as before
    from span
), numbered as (
    select *, sum(case when began <= before + 30 then 0 else 1 end)
        over (partition by person_id, concept_id order by began, ended, drug_exposure_id rows unbounded preceding) as era
    from reached
)
select k.source || '#' || n.concept_id || '#' || strftime(min(began), '%Y%m%d') as key, k.source as person_id,
    n.concept_id as drug_concept_id, min(began) as drug_era_start_date, max(ended) as drug_era_end_date,
    count(*) as drug_exposure_count,
    sum(case when began <= before + 30 then greatest(began - before - 1, 0) else 0 end) as gap_days
from numbered n join kept_person k on k.id = n.person_id
group by k.source, n.concept_id, n.era
