-- What the steps of the pipeline did, one row a run: the board and the commands show it. A run is asked for by a person
-- (asked), begun (running), and ends as done, failed, or busy: another held the lake, and it may be tried again.
create table pipeline_run (
  id bigint generated always as identity primary key,
  step text not null,
  asked_by text not null,                 -- an account, or `lake` and `command`
  is_backfill boolean not null default false,
  outcome text not null default 'running' check (outcome in ('asked', 'running', 'done', 'failed', 'busy')),
  asked timestamptz not null,
  began timestamptz,
  ended timestamptz,
  rows bigint,
  tx bigint not null default 0,           -- place in the feed up to which it took in the store
  rid bigint not null default 0,
  reason text not null default '',        -- why it failed; never a value of a row
  gates jsonb not null default '[]'       -- what had to hold: name, held, told
);
create index pipeline_run_of_step on pipeline_run (step, id desc);
create index pipeline_run_asked on pipeline_run (id) where outcome = 'asked';
