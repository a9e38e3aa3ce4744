-- A Device says what it is, and a DeviceUseStatement or a Procedure when it was used.
with device as (
    select id, coded(type) as codings, said_in(type) as said, udiCarrier[1].deviceIdentifier as udi,
        coalesce(lotNumber, serialNumber) as production
    from "Device"
), used as (
    select 'DeviceUseStatement/' || id as source, id_of(subject.reference, 'Patient') as patient, null as visit,
        id_of("source".reference, 'Practitioner') as provider, id_of(device.reference, 'Device') as device,
        coalesce(timingDateTime, timingPeriod."start", recordedOn) as began, timingPeriod."end" as ended
    from "DeviceUseStatement" where coalesce(status, 'active') not in ('entered-in-error', 'intended')
    union all
    select 'Procedure/' || id || '#focalDevice' || n, id_of(subject.reference, 'Patient'),
        id_of(encounter.reference, 'Encounter'), id_of(performer[1].actor.reference, 'Practitioner'),
        id_of(focalDevice[n].manipulated.reference, 'Device'),
        coalesce(performedDateTime, performedPeriod."start"), null
    from "Procedure", unnest(generate_series(1, len(focalDevice))) as numbered(n)
    where coalesce(status, 'unknown') not in ('preparation', 'not-done', 'entered-in-error')
)
select u.source, 'device_exposure' as home, u.patient, u.visit, u.provider, u.began, u.ended, 32817 as type_concept_id,
    d.codings, d.said, d.udi as device_udi, d.production as device_production, 1 as quantity
from used u join device d on d.id = u.device
