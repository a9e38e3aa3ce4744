select 'Procedure/' || id as source, 'procedure_occurrence' as home, id_of(subject.reference, 'Patient') as patient,
    id_of(encounter.reference, 'Encounter') as visit, id_of(performer[1].actor.reference, 'Practitioner') as provider,
    coalesce(performedDateTime, performedPeriod."start") as began, performedPeriod."end" as ended,
    32817 as type_concept_id, coded(code) as codings, said_in(code) as said
from "Procedure"
where coalesce(status, 'unknown') not in ('preparation', 'not-done', 'entered-in-error')
