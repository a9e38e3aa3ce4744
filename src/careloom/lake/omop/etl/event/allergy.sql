select 'AllergyIntolerance/' || id as source, 'observation' as home, id_of(patient.reference, 'Patient') as patient,
    id_of(encounter.reference, 'Encounter') as visit, id_of(recorder.reference, 'Practitioner') as provider,
    coalesce(onsetDateTime, onsetPeriod."start", recordedDate) as began, 32817 as type_concept_id,
    coded(code) as codings, said_in(code) as said, said_in(reaction[1].manifestation[1]) as value_text
from "AllergyIntolerance"
where not has_code(verificationStatus, ['refuted', 'entered-in-error'])
