select 'Specimen/' || sp.id as key, i.person as person_id, coalesce(c.concept_id, 0) as specimen_concept_id,
    32817 as specimen_type_concept_id,
    day_of(coalesce(collection.collectedDateTime, collection.collectedPeriod."start", receivedTime)) as specimen_date,
    moment_of(coalesce(collection.collectedDateTime, collection.collectedPeriod."start", receivedTime)) as specimen_datetime,
    collection.quantity.value as quantity, coalesce(b.concept_id, 0) as anatomic_site_concept_id,
    coalesce(accessionIdentifier."value", sp.id) as specimen_source_id,
    coalesce(c.source_value, said_in(type)) as specimen_source_value, collection.quantity.unit as unit_source_value,
    coalesce(b.source_value, said_in(collection.bodySite)) as anatomic_site_source_value
from "Specimen" sp join identity i on i.patient = id_of(subject.reference, 'Patient')
left join code c on c.codings = coded(type) and c.n = 1
left join code b on b.codings = coded(collection.bodySite) and b.n = 1
where coalesce(status, 'available') <> 'entered-in-error'
