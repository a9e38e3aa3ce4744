-- Resources: the current version in res, older ones in hist, search values beside them.
-- Every version has its own rid; a row of a table s_* whose rid is no longer in res is stale, matches
-- nothing, and is swept by store.maintenance. So an update never deletes search values.

-- Transaction ids start anew when a dump is restored into another cluster; base keeps ours rising all the same.
create table feed_base (base bigint not null);
insert into feed_base values (0);

create function feed_now() returns bigint language sql stable as
  'select pg_current_xact_id()::text::bigint + base from feed_base';
create function feed_horizon() returns bigint language sql stable as
  'select pg_snapshot_xmin(pg_current_snapshot())::text::bigint + base from feed_base';

create table res (
  rid bigint not null,             -- this version
  key bigint not null,             -- hash64('Type/id')
  tx bigint not null,              -- feed_now() of its transaction
  lm timestamptz not null,         -- meta.lastUpdated
  event_id bigint,                 -- the Event it came from
  maker bigint not null,           -- maker.id
  pat bigint,                      -- key of the Patient it is about; a Patient's own key
  code bigint,                     -- hash of the first coding of `code`
  dlo timestamptz not null,        -- clinical time, half-open; undated: -infinity
  dhi timestamptz,                 -- null: undated
  present bigint not null,         -- one bit for each search parameter that has a value
  ver integer not null,
  rtype smallint not null,
  dict smallint not null,          -- dictionary.id that the body needs
  depth smallint not null,         -- how many stations lie between the Event and it
  is_deleted boolean not null,
  is_restricted boolean not null,  -- meta.security says restricted or very restricted
  id text collate "C" not null,
  also bigint[],                   -- keys of further Patients in whose compartments it is
  ix bigint[] not null,            -- hashes of tokens, references, uris, and of `also`
  body bytea not null
);
-- zstd has compressed it; a second try would cost time and gain nothing.
alter table res alter body set storage external;
create unique index res_rid on res (rid);
create unique index res_key on res (key);
create index res_tx on res (tx);
create index res_pat on res (rtype, pat, dlo) where pat is not null;
create index res_code on res (rtype, code, dlo) where code is not null;
create index res_date on res (rtype, dlo);
create index res_lm on res (rtype, lm);
-- A search by the end of an interval looks here for those longer than a day, and by dlo for all others.
create index res_long on res (rtype, dhi) where dhi - dlo > interval '1 day';
create index res_ix on res using gin (ix) with (gin_pending_list_limit = 1024);
alter table res alter ix set statistics 1000;

create table hist (
  rid bigint not null,
  key bigint not null,
  tx bigint not null,
  lm timestamptz not null,
  event_id bigint,
  maker bigint not null,
  pat bigint,
  ver integer not null,
  rtype smallint not null,
  dict smallint not null,
  depth smallint not null,
  is_deleted boolean not null,
  is_restricted boolean not null,
  id text collate "C" not null,
  also bigint[],
  body bytea not null
);
alter table hist alter body set storage external;
create unique index hist_key on hist (key, ver);
create index hist_tx on hist (tx);
create index hist_lm on hist (rtype, lm);

create table s_str (rid bigint not null, sp smallint not null, v text collate "C" not null);
create index s_str_v on s_str (sp, v);
create index s_str_rid on s_str (rid);

-- u: hash of the unit's code; sys: half a hash of its system; a number has neither.
create table s_qty (
  rid bigint not null, u bigint not null, lo float8 not null, hi float8 not null,
  sys integer not null, sp smallint not null);
create index s_qty_u on s_qty (sp, u, lo);
create index s_qty_rid on s_qty (rid);

-- Codings of the hot code beyond the first, which alone stands in res.code.
create table s_second (rid bigint not null, code bigint not null);
create index s_second_code on s_second (code, rid);

-- Dates other than the clinical time.
create table s_dat (rid bigint not null, lo timestamptz not null, hi timestamptz not null, sp smallint not null);
create index s_dat_lo on s_dat (sp, lo);
create index s_dat_rid on s_dat (rid);

-- Not unique on purpose: two first commits of one maker must not wait for one another; the same id says the same.
create table maker (id bigint not null, actor text not null, agent text not null);
create index maker_id on maker (id);

-- Dictionaries up to 99 ship with careloom; from 100 on they were trained on this store's own rows, so many at the time.
create table dictionary (
  id smallint primary key, rtype smallint not null, digest bytea not null, born bigint not null,
  trained timestamptz not null, rows bigint not null, bytes bytea not null);
alter table dictionary alter bytes set storage external;

create sequence rid_block increment 1000 start 1000;

create table station (name text primary key, tx bigint not null, rid bigint not null);
