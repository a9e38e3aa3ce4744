-- What was used and what it cost, by person and month. A stay counts in the month of its admission, money in that of the
-- service (else of the claim); `allowed` and `paid` are amounts of ExplanationOfBenefit, in the currency of the claim.
create temp table utilisation as
with visit as (
    select i.person, date_trunc('month', day_of(e.began)) as month,
        count(*) filter (v.concept_id = 9203) as emergency_visits,
        count(*) filter (v.concept_id is distinct from 9203 and v.concept_id is distinct from 9201) as other_visits
    from encounter e join stay s on s.id = e.id and not s.is_part join identity i on i.patient = e.patient
    left join visit_class v on v.code = e.class
    group by all
), admitted as (
    select person, date_trunc('month', cast(admitted_at as date)) as month, count(*) as stays, sum(days) as days
    from stays group by all
), done as (
    select i.person, date_trunc('month', day_of(coalesce(p.performedDateTime, p.performedPeriod."start"))) as month,
        count(*) as procedures
    from main."Procedure" p join identity i on i.patient = id_of(p.subject.reference, 'Patient')
    where coalesce(p.status, 'unknown') not in ('preparation', 'not-done', 'entered-in-error') group by all
), line as (
    select b.id, id_of(b.patient.reference, 'Patient') as patient, b.created, b.billablePeriod."start" as billed, unnest(b.item) as l
    from main."ExplanationOfBenefit" b
    where coalesce(b.status, 'active') = 'active' and coalesce(b.use, 'claim') = 'claim'
), adjudged as (
    select patient, coalesce(l.servicedPeriod."start", l.servicedDate, billed, created) as at, unnest(l.adjudication) as a from line
), money as (
    select i.person, date_trunc('month', day_of(a.at)) as month, sum(a.a.amount.value) filter (k.means = 'charge') as charged,
        sum(a.a.amount.value) filter (k.means = 'allowed') as allowed,
        sum(a.a.amount.value) filter (k.means = 'payer') as paid_by_payer,
        sum(a.a.amount.value) filter (k.means in ('patient', 'copay', 'coinsurance', 'deductible')) as paid_by_patient
    from adjudged a join identity i on i.patient = a.patient join amount k on k.code = a.a.category.coding[1].code
    group by all
), told as (
    select * from visit union all by name select * from admitted union all by name select * from done
    union all by name select * from money
)
select person, cast(month as date) as month, coalesce(sum(emergency_visits), 0)::integer as emergency_visits,
    coalesce(sum(other_visits), 0)::integer as other_visits, coalesce(sum(stays), 0)::integer as stays,
    coalesce(sum(days), 0)::integer as days, coalesce(sum(procedures), 0)::integer as procedures, sum(charged) as charged,
    sum(allowed) as allowed, sum(paid_by_payer) as paid_by_payer, sum(paid_by_patient) as paid_by_patient
from told where month is not null group by person, month;
