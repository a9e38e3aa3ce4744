select 'Condition/' || id as source, 'condition_occurrence' as home, id_of(subject.reference, 'Patient') as patient,
    id_of(encounter.reference, 'Encounter') as visit,
    id_of(coalesce(asserter.reference, recorder.reference), 'Practitioner') as provider,
    coalesce(onsetDateTime, onsetPeriod."start", recordedDate) as began,
    coalesce(abatementDateTime, abatementPeriod."end", onsetPeriod."end") as ended,
    32817 as type_concept_id, coded(code) as codings, said_in(code) as said,
    coded(clinicalStatus)[1].code as status
from "Condition"
where not has_code(verificationStatus, ['refuted', 'entered-in-error'])
