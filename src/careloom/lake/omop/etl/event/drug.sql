-- What was ordered, given, dispensed or told, each with its own type concept. The drug is a code, or a Medication in the
-- store, or one within the resource.
with medication as (select id, coded(code) as codings, said_in(code) as said from "Medication"),
stated as (
    select 'MedicationRequest/' || id as source, subject, encounter as visit, requester.reference as provider,
        medicationCodeableConcept as drug, medicationReference.reference as drug_reference, contained,
        coalesce(dispenseRequest.validityPeriod."start", authoredOn) as began,
        coalesce(dispenseRequest.validityPeriod."end", cast(day_of(authoredOn)
            + days_of(dispenseRequest.expectedSupplyDuration) as varchar)) as ended,
        32838 as type_concept_id, dispenseRequest.quantity.value as quantity,
        days_of(dispenseRequest.expectedSupplyDuration) as days_supply,
        dispenseRequest.numberOfRepeatsAllowed as refills, dosageInstruction[1].text as sig,
        coded(dosageInstruction[1].route) as route, said_in(statusReason) as stop_reason, null as lot
    from "MedicationRequest"
    where coalesce(status, 'unknown') not in ('cancelled', 'entered-in-error', 'draft')
        and coalesce(intent, 'order') not in ('proposal', 'option') and not coalesce(doNotPerform, false)
    union all by name
    select 'MedicationAdministration/' || id as source, subject, context as visit,
        performer[1].actor.reference as provider, medicationCodeableConcept as drug,
        medicationReference.reference as drug_reference, contained,
        coalesce(effectiveDateTime, effectivePeriod."start") as began, effectivePeriod."end" as ended,
        32818 as type_concept_id, dosage.dose.value as quantity, dosage.text as sig, coded(dosage.route) as route,
        said_in(statusReason[1]) as stop_reason
    from "MedicationAdministration"
    where coalesce(status, 'unknown') not in ('not-done', 'entered-in-error')
    union all by name
    select 'MedicationDispense/' || id as source, subject, context as visit, performer[1].actor.reference as provider,
        medicationCodeableConcept as drug, medicationReference.reference as drug_reference, contained,
        coalesce(whenHandedOver, whenPrepared) as began,
        cast(day_of(coalesce(whenHandedOver, whenPrepared)) + days_of(daysSupply) as varchar) as ended,
        32825 as type_concept_id, quantity.value as quantity, days_of(daysSupply) as days_supply,
        dosageInstruction[1].text as sig, coded(dosageInstruction[1].route) as route
    from "MedicationDispense"
    where coalesce(status, 'unknown') in ('completed', 'in-progress', 'on-hold', 'stopped', 'unknown')
    union all by name
    select 'MedicationStatement/' || id as source, subject, context as visit, null as provider,
        medicationCodeableConcept as drug, medicationReference.reference as drug_reference, contained,
        coalesce(effectiveDateTime, effectivePeriod."start", dateAsserted) as began, effectivePeriod."end" as ended,
        32865 as type_concept_id, dosage[1].text as sig, coded(dosage[1].route) as route,
        said_in(statusReason[1]) as stop_reason
    from "MedicationStatement"
    where coalesce(status, 'unknown') not in ('not-taken', 'intended', 'entered-in-error')
), within as (
    select source, json_extract(c.item, '$.code') as code
    from (select source, drug_reference, unnest(contained) as item from stated where drug_reference like '#%') c
    where json_extract_string(c.item, '$.id') = c.drug_reference[2:]
), inner_drug as (
    select source, json_extract_string(code, '$.text') as said, list_transform(
        from_json(json_extract(code, '$.coding'), '[{"system":"VARCHAR","code":"VARCHAR","display":"VARCHAR"}]'),
        lambda c: {'system': c.system, 'code': c.code, 'display': c.display}) as codings
    from within
)
select s.source, 'drug_exposure' as home, id_of(s.subject.reference, 'Patient') as patient,
    id_of(s.visit.reference, 'Encounter') as visit, id_of(s.provider, 'Practitioner') as provider, s.began, s.ended,
    s.type_concept_id, coalesce(coded(s.drug), m.codings, i.codings) as codings,
    coalesce(said_in(s.drug), m.said, i.said) as said, s.quantity, s.days_supply, s.refills, s.sig, s.route,
    s.stop_reason, s.lot
from stated s
left join medication m on m.id = id_of(s.drug_reference, 'Medication')
left join inner_drug i on i.source = s.source
union all by name
select 'Immunization/' || id as source, 'drug_exposure' as home, id_of(patient.reference, 'Patient') as patient,
    id_of(encounter.reference, 'Encounter') as visit, id_of(performer[1].actor.reference, 'Practitioner') as provider,
    coalesce(occurrenceDateTime, recorded) as began, 32818 as type_concept_id, coded(vaccineCode) as codings,
    said_in(vaccineCode) as said, doseQuantity.value as quantity, lotNumber as lot, coded(route) as route
from "Immunization"
where coalesce(status, 'completed') = 'completed'
