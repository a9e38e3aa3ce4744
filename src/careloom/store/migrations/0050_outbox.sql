-- What is to be delivered to other systems: a row is written in the transaction that causes it, so that nothing is
-- promised that was rolled back and nothing kept is forgotten. Each destination is served in the order of ids.
create table outbox (
  id bigint generated always as identity primary key,
  destination text not null,              -- as in the setting forward_to: mllp://host:port
  event_id bigint not null references event (id),
  status text not null default 'waiting' check (status in ('waiting', 'delivered', 'refused')),
  answer text not null default '',        -- the receiver's last word, or why there was none; never its free text
  attempts int not null default 0,
  posted timestamptz not null,
  tried timestamptz,                      -- time of the last attempt
  unique (event_id, destination)
);
create index outbox_waiting on outbox (destination, id) where status = 'waiting';
create index outbox_refused on outbox (destination) where status = 'refused';
