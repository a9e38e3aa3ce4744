-- What an arrival was told to be, and, of a request of a FHIR client, what it asked for: the bytes alone do not say it.
ALTER TABLE event ADD COLUMN media text NOT NULL DEFAULT '';
ALTER TABLE event ADD COLUMN request text NOT NULL DEFAULT '';
