with told as (
    select 'DocumentReference/' || id || '#content' || n as key, id_of(subject.reference, 'Patient') as patient,
        id_of(context.encounter[1].reference, 'Encounter') as visit, id_of(author[1].reference, 'Practitioner') as provider,
        coalesce("date", content[n].attachment.creation, context.period."start") as began, type as kind,
        content[n].attachment as held, null as words
    from "DocumentReference", unnest(generate_series(1, len(content))) as numbered(n)
    where coalesce(status, 'current') <> 'entered-in-error'
    union all
    select 'DiagnosticReport/' || id || '#presentedForm' || n, id_of(subject.reference, 'Patient'),
        id_of(encounter.reference, 'Encounter'), id_of(performer[1].reference, 'Practitioner'),
        coalesce(effectiveDateTime, effectivePeriod."start", issued), code, presentedForm[n], null
    from "DiagnosticReport", unnest(generate_series(1, len(presentedForm))) as numbered(n)
    where coalesce(status, 'final') not in ('cancelled', 'entered-in-error')
    union all
    select 'DiagnosticReport/' || id || '#conclusion', id_of(subject.reference, 'Patient'),
        id_of(encounter.reference, 'Encounter'), id_of(performer[1].reference, 'Practitioner'),
        coalesce(effectiveDateTime, effectivePeriod."start", issued), code, null, conclusion
    from "DiagnosticReport"
    where conclusion is not null and coalesce(status, 'final') not in ('cancelled', 'entered-in-error')
), texts as (
    select *, coalesce(words, case when coalesce(held.contentType, 'text/plain') like 'text/%'
        then try(decode(from_base64(held.data))) end) as note_text
    from told
)
select key, i.person as person_id, day_of(began) as note_date, moment_of(began) as note_datetime,
    32831 as note_type_concept_id, coalesce(c.concept_id, 0) as note_class_concept_id, held.title as note_title, note_text,
    0 as encoding_concept_id, 0 as language_concept_id, 'Practitioner/' || provider as provider_id,
    'Encounter/' || s.root as visit_occurrence_id, case when s.is_part then 'Encounter/' || s.id end as visit_detail_id,
    coalesce(c.source_value, said_in(kind)) as note_source_value
from texts t join identity i on i.patient = t.patient
left join stay s on s.id = t.visit
left join code c on c.codings = coded(t.kind) and c.n = 1
-- An attachment elsewhere, or a picture, is no text.
where note_text is not null and note_text <> ''
