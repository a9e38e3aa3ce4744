-- A change that a station could not digest: it is named here, and the station goes on.
create table set_aside (
  id bigint generated always as identity primary key,
  station text not null,
  rtype text not null,
  resource_id text not null,
  version integer not null,
  event_id bigint,
  reason text not null,
  at timestamptz not null default now(),
  unique (station, rtype, resource_id, version));
