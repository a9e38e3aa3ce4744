-- Search parameters beside those of R4, one row for each meaning that a SearchParameter had: a change of what it says
-- makes a new row under a new id, and the old one goes when nothing is indexed by it any more.
create table search_parameter (
  id smallint primary key,               -- what stands as sp, or hashed, in the rows of what it finds
  resource_id text collate "C" not null, -- of the SearchParameter
  url text not null,
  code text not null,
  type text not null,
  targets text[] not null,
  bases jsonb not null,                  -- of each type [type, FHIRPath, components]
  status text not null check (status in ('building', 'ready', 'retired')),
  job text,                              -- job.id of what indexes by it, or takes what was indexed away again
  since timestamptz not null
);
create index search_parameter_resource on search_parameter (resource_id);

-- Another number whenever a row above has changed. It is compared and has no order.
create table search_catalogue (stamp bigint not null);
insert into search_catalogue values (0);

-- The stamp for a writer. Its transaction has a number before it looks, so that a job which waits for all transactions
-- with lower numbers than it has seen itself has waited for every writer who knew less. A volatile function takes a new
-- snapshot for each of its statements; a plain select would have taken its snapshot before the number.
create function catalogue_stamp() returns bigint language plpgsql volatile as $$
begin
  perform pg_current_xact_id();
  return (select stamp from search_catalogue);
end $$;
