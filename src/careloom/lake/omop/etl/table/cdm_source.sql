select 'careloom' as cdm_source_name, 'careloom' as cdm_source_abbreviation, 'the site' as cdm_holder,
    'FHIR R4 resources of careloom, one person for all Patients that it holds to be one' as source_description,
    'https://hl7.org/fhir/R4' as source_documentation_reference, 'careloom lake omop build' as cdm_etl_reference,
    getvariable('release') as source_release_date, getvariable('release') as cdm_release_date, '5.4' as cdm_version,
    756265 as cdm_version_concept_id,
    -- The vocabulary that says of which release all are: https://ohdsi.github.io/CommonDataModel/cdm54.html#vocabulary
    coalesce((select vocabulary_version from cdm.vocabulary where vocabulary_id = 'None'), 'none') as vocabulary_version
