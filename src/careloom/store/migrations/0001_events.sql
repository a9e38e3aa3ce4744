-- One row for each arrival; its bytes are never changed and never deleted.
CREATE TABLE event (
  id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  source   text NOT NULL,
  kind     text NOT NULL,
  key      text NOT NULL,           -- the sender's own id of it; '' when the sender gives none
  hash     bytea NOT NULL,          -- SHA-256 of the bytes as they came
  size     bigint NOT NULL,         -- of the bytes as they came
  body     bytea,                   -- a zstd frame of them; NULL: they lie in the blob named by the hash
  received timestamptz NOT NULL,
  status   text NOT NULL DEFAULT 'received'
           CHECK (status IN ('received', 'done', 'quarantined', 'superseded')),
  attempts int NOT NULL DEFAULT 0,
  agent    text NOT NULL DEFAULT '',
  issues   jsonb NOT NULL DEFAULT '[]',
  ledger   bytea                    -- a zstd frame of JSON: three lists, where, fate and target
);

-- Both are compressed already: PostgreSQL must not try again.
ALTER TABLE event ALTER body SET STORAGE EXTERNAL, ALTER ledger SET STORAGE EXTERNAL;

-- A resend is found by this, and so is another message under the same key.
CREATE UNIQUE INDEX event_identity ON event (source, kind, key, hash) WHERE key <> '';

-- The list of one source, newest first; with the status in it, counting needs no look at the table.
CREATE INDEX event_source ON event (source, id) INCLUDE (status);

-- What waits, and what a person must look at: few among many.
CREATE INDEX event_open ON event (status, id) WHERE status IN ('received', 'quarantined');

-- Rows come in the order of time, so a window of time is a range of blocks.
CREATE INDEX event_received ON event USING brin (received);
