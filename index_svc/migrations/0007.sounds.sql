-- Films are found by their sound tracks, too.
-- depends: 0006.renewals

CREATE TABLE sounds (
  -- A film's; one that has no row was not listened to yet.
  asset bigint PRIMARY KEY REFERENCES assets ON DELETE CASCADE,
  algorithm text NOT NULL,
  version integer NOT NULL,
  -- As the audio matcher made it, terms aside; null: there was nothing to hear.
  payload bytea,
  -- What runs up to this one have of the film's sound is of an earlier fingerprint.
  stale_runs bigint NOT NULL DEFAULT 0
);
-- Already compressed.
ALTER TABLE sounds ALTER payload SET STORAGE EXTERNAL;

-- The terms of films' sounds are kept apart from those of pictures and of sounds: here and in runs their media_type is 4.
ALTER TABLE unpacked DROP CONSTRAINT unpacked_pkey, ADD PRIMARY KEY (asset, media_type);
