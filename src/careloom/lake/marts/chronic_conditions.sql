-- Who has which of the conditions in chronic.toml: by a code of ICD-10 that begins with one of its rubrics, or one of its
-- SNOMED codes. Active: the last that is known of it is not inactive, resolved or in remission.
create temp table chronic_conditions as
with said as (
    select i.person, c.id, day_of(coalesce(c.onsetDateTime, c.onsetPeriod."start", c.recordedDate)) as day,
        has_code(c.clinicalStatus, ['inactive', 'resolved', 'remission']) as is_over, unnest(coded(c.code)) as coding
    from main."Condition" c join identity i on i.patient = id_of(c.subject.reference, 'Patient')
    where not has_code(c.verificationStatus, ['refuted', 'entered-in-error'])
)
select s.person, k.condition, min(s.day) as first_known, max(s.day) as last_known, count(distinct s.id)::integer as records,
    not arg_max(s.is_over, (coalesce(s.day, date '0001-01-01'), s.id)) as is_active
from said s join chronic k on case when k.is_rubric
    then s.coding.system in ('http://hl7.org/fhir/sid/icd-10-cm', 'http://hl7.org/fhir/sid/icd-10', 'http://fhir.de/CodeSystem/bfarm/icd-10-gm')
        and starts_with(s.coding.code, k.code)
    else s.coding.system = 'http://snomed.info/sct' and s.coding.code = k.code end
group by s.person, k.condition;
