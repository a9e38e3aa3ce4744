-- How FHIR's texts are read. A date may lack its day or month: the first one is taken, as the CDM has no partial dates.
-- A time is taken as it was written, without its offset: the CDM means the clock on the wall of the place.
create or replace temp macro day_of(said) as try_cast(
    case length(said) when 4 then said || '-01-01' when 7 then said || '-01' else said[:10] end as date);
create or replace temp macro moment_of(said) as coalesce(
    case when length(said) > 10 then try_cast(replace(said[:19], 'T', ' ') as timestamp) end,
    cast(day_of(said) as timestamp));

-- The id in a reference to a resource of this store; null for another type, another place, or no reference.
create or replace temp macro id_of(reference, rtype) as
    nullif(regexp_extract(reference, '(?:^|/)' || rtype || '/([A-Za-z0-9.-]{1,64})(?:/_history/[^/]+)?$', 1), '');

-- (In a macro the name of what a lambda takes must be none of the tables around it: hence `own_`.)
-- The codings of a CodeableConcept, as little of them as it takes to map and to show them.
create or replace temp macro coded(concept) as
    list_transform(list_filter(concept.coding, lambda own_: own_.code is not null),
                   lambda own_: {'system': own_.system, 'code': own_.code, 'display': own_.display});
create or replace temp macro one_coding(system, code, display) as
    case when code is not null then [{'system': system, 'code': code, 'display': display}] end;
create or replace temp macro said_in(concept) as coalesce(concept.text, concept.coding[1].display);
create or replace temp macro has_code(concept, wanted) as
    coalesce(list_has_any(list_transform(concept.coding, lambda own_: own_.code), wanted), false);
create or replace temp macro any_has_code(concepts, wanted) as
    coalesce(list_bool_or(list_transform(concepts, lambda each_: has_code(each_, wanted))), false);

-- An address as one text: what two resources state alike is one row of location.
create or replace temp macro address_key(a) as nullif(concat_ws('|', array_to_string(a.line, ' '), a.city, a.district,
    a.state, a.postalCode, a.country), '');

-- How many days a Duration is; what is neither days, weeks nor months is taken for days.
create or replace temp macro days_of(duration) as cast(round(duration.value *
    case coalesce(duration.code, duration.unit) when 'wk' then 7 when 'mo' then 30 when 'h' then 1.0 / 24 else 1 end) as integer);
