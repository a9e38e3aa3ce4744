-- People who sign in. Names are compared in lower case.
CREATE TABLE account (
  name         text PRIMARY KEY CHECK (name = lower(name)),
  display      text NOT NULL,
  password     text NOT NULL,              -- argon2id, with its parameters and salt
  roles        text[] NOT NULL,
  patients     text[],                     -- NULL: all; else these compartments only
  is_active    boolean NOT NULL DEFAULT true,
  failures     int NOT NULL DEFAULT 0,     -- wrong passwords since the last right one
  locked_until timestamptz
);

-- A session is known by the hash of its token: who reads this table cannot sign in with it.
CREATE TABLE session (
  hash    bytea PRIMARY KEY,
  account text NOT NULL REFERENCES account ON DELETE CASCADE,
  begun   timestamptz NOT NULL,
  expires timestamptz NOT NULL             -- slides with use, up to a day's work
);
CREATE INDEX session_account ON session (account);
CREATE INDEX session_expires ON session (expires);

-- Programs that come with a Bearer token; only its hash is kept.
CREATE TABLE token (
  hash    bytea PRIMARY KEY,
  name    text NOT NULL UNIQUE,
  roles   text[] NOT NULL,
  made    timestamptz NOT NULL DEFAULT now(),
  expires timestamptz                      -- NULL: until it is revoked
);
