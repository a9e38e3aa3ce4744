-- Work that takes longer than a request: exports, imports, a new index. A job is a row; its work is done in steps, and
-- each step is one transaction that holds the row and moves `state`, so that a kill -9 repeats one step and no more.
create table job (
  id text primary key,                    -- not to be guessed, for it stands in addresses
  kind text not null,                     -- key of registry.JOBS
  owner text not null,                    -- the account or token that asked
  request jsonb not null,                 -- what was asked for; never changed
  state jsonb not null default '{}',      -- where the work stands, and at the end what came of it
  status text not null default 'queued'
         check (status in ('queued', 'running', 'done', 'failed', 'cancelled')),
  done bigint not null default 0,         -- of `total`, in the unit of the kind
  total bigint,                           -- null: not known yet
  issues jsonb not null default '[]',
  created timestamptz not null,
  moved timestamptz not null,             -- time of the last step: whoever waited longest comes next
  ended timestamptz
);
create index job_open on job (moved, id) where status in ('queued', 'running');
