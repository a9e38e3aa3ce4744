-- Who did what, when, to which record. Rows are only ever added. Needs feed_now() and feed_horizon() of 0010.
CREATE TABLE audit (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tx          bigint NOT NULL DEFAULT feed_now(),  -- the order in which rows are sealed
  recorded    timestamptz NOT NULL,
  actor       text NOT NULL,
  interaction text NOT NULL,             -- read, search-type, transaction, login ...
  outcome     smallint NOT NULL,         -- 0 success, 4 minor failure, 8 serious failure
  what        text NOT NULL,             -- Patient/7, or the type that was searched
  patient     text NOT NULL,             -- Patient/7 when the record is about one patient
  event_id    bigint,
  number      int,                       -- how many resources
  parameters  text NOT NULL,             -- the names of search parameters, never their values
  address     text NOT NULL              -- of the caller
);
CREATE INDEX audit_tx ON audit (tx, id);
CREATE INDEX audit_actor ON audit (actor, id);
CREATE INDEX audit_patient ON audit (patient, id) WHERE patient <> '';

-- One link of the chain covers the rows of all transactions from tx_from up to, not with, tx_to.
CREATE TABLE audit_seal (
  n        bigint PRIMARY KEY,
  tx_from  bigint NOT NULL,
  tx_to    bigint NOT NULL,
  first_id bigint NOT NULL,
  number   bigint NOT NULL,
  sealed   timestamptz NOT NULL,
  hash     bytea NOT NULL                -- SHA-256 of the hash before it, of these numbers, and of the rows
);

CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit trail is append-only';
END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
  FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
CREATE TRIGGER audit_seal_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_seal
  FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
