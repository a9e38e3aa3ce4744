-- Saved statements of SQL, and what came of them. A statement or the value of a parameter may hold a value of a patient:
-- they stand here, and in no address, log or line of the audit trail.
create table report (
  id text primary key,                    -- not to be guessed, for it stands in addresses
  name text not null,
  description text not null,
  sql text not null,
  parameters jsonb not null,              -- store.report.Parameter of each $name
  chart jsonb,
  owner text not null,                    -- the account that saved it; scheduled, it runs as this one
  shared text[] not null,                 -- roles that may open it; they run it as themselves
  schedule jsonb,
  next_due timestamptz,                   -- null: it is not scheduled
  keep_days int not null,
  created timestamptz not null,
  changed timestamptz not null
);
create index report_due on report (next_due) where next_due is not null;

create table report_run (
  id text primary key,
  report text not null references report on delete cascade,
  due timestamptz,                        -- when it was due; null: somebody asked
  actor text not null,
  scope bytea not null,                   -- digest of what the actor might see: the result is shown to nobody who sees another
  status text not null check (status in ('queued', 'running', 'done', 'failed')),
  attempts int not null default 0,
  next_try timestamptz not null,
  began timestamptz,
  ended timestamptz,
  rows bigint,
  is_cut boolean not null default false,
  issues jsonb not null default '[]',
  columns jsonb,
  result bytea,                           -- Parquet; null: nothing was kept, or it was kept long enough
  unique (report, due)                    -- each due time once
);
alter table report_run alter column result set storage external;
create index report_run_of on report_run (report, next_try desc);
create index report_run_open on report_run (next_try) where status in ('queued', 'running');
