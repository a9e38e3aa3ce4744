select 'Coverage/' || c.id as key, i.person as person_id, day_of(period."start") as payer_plan_period_start_date,
    coalesce(day_of(period."end"), greatest(getvariable('release'), day_of(period."start"))) as payer_plan_period_end_date,
    coalesce(o.name, c.payor[1].display) as payer_source_value,
    coalesce(list_extract(list_filter(c."class", lambda k: has_code(k.type, ['plan'])), 1)."value", said_in(c.type)) as plan_source_value,
    c.subscriberId as family_source_value
from "Coverage" c join identity i on i.patient = id_of(beneficiary.reference, 'Patient')
left join "Organization" o on o.id = id_of(c.payor[1].reference, 'Organization')
where coalesce(c.status, 'active') not in ('draft', 'entered-in-error')
