-- What a claim cost, by the visit that it is for. Amounts of an ExplanationOfBenefit stand in its lines, each with a
-- category of X12, CARIN or the CMS Blue Button; what is not among these (see amount) is not added up.
with line as (
    select e.id, unnest(i.adjudication) as a from (select id, unnest(item) as i from "ExplanationOfBenefit") e
), summed as (
    select l.id, k.means, sum(l.a.amount.value) as amount
    from line l join amount k on k.code = l.a.category.coding[1].code group by all
), wide as (
    select id, max(amount) filter (means = 'charge') as charge, max(amount) filter (means = 'allowed') as allowed,
        max(amount) filter (means = 'payer') as payer, max(amount) filter (means = 'patient') as patient,
        max(amount) filter (means = 'copay') as copay, max(amount) filter (means = 'coinsurance') as coinsurance,
        max(amount) filter (means = 'deductible') as deductible
    from summed group by id
), benefit as (
    select e.id, coalesce(list_extract(list_filter(list_transform(e.item, lambda i: id_of(i.encounter[1].reference, 'Encounter')),
            lambda v: v is not null), 1)) as visit,
        list_extract(list_filter(e.total, lambda t: has_code(t.category, ['submitted'])), 1).amount.value as submitted,
        list_extract(list_filter(e.total, lambda t: has_code(t.category, ['benefit'])), 1).amount.value as paid,
        coalesce(e.total[1].amount.currency, e.payment.amount.currency, 'USD') as currency
    from "ExplanationOfBenefit" e
    where coalesce(e.status, 'active') = 'active' and coalesce(e.use, 'claim') = 'claim'
)
select 'ExplanationOfBenefit/' || b.id as key, 'Encounter/' || s.root as cost_event_id, 'Visit' as cost_domain_id,
    32810 as cost_type_concept_id, m.concept_id as currency_concept_id, coalesce(w.charge, b.submitted) as total_charge,
    w.allowed as total_cost, coalesce(w.payer, b.paid)
        + coalesce(w.patient, coalesce(w.copay, 0) + coalesce(w.coinsurance, 0) + coalesce(w.deductible, 0)) as total_paid,
    coalesce(w.payer, b.paid) as paid_by_payer,
    coalesce(w.patient, w.copay + coalesce(w.coinsurance, 0) + coalesce(w.deductible, 0), w.coinsurance, w.deductible) as paid_by_patient,
    w.copay as paid_patient_copay, w.coinsurance as paid_patient_coinsurance, w.deductible as paid_patient_deductible,
    w.allowed as amount_allowed
from benefit b left join wide w on w.id = b.id
left join stay s on s.id = b.visit left join currency m on m.code = b.currency
