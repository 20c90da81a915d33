-- What was uploaded, the hashes that assets are found by, and what a project sets for itself.
-- depends: 0001.projects-assets-postings

ALTER TABLE projects
  -- Uploaded bytes stay once their asset is ready, and URLs so that they can be fetched again.
  ADD store_media boolean NOT NULL DEFAULT false,
  -- Null: as long as their asset.
  ADD media_days integer,
  -- Null: the product's own.
  ADD image_threshold double precision,
  ADD audio_threshold double precision,
  ADD video_threshold double precision,
  ADD strong_coverage double precision;

ALTER TABLE assets
  ADD on_duplicate text NOT NULL DEFAULT 'index' CHECK (on_duplicate IN ('index', 'skip', 'link')),
  -- No reference: that one may be deleted, and it is still true.
  ADD duplicate_of uuid;
-- Assets that have no fingerprint, but a hash: mostly there are none.
CREATE INDEX ON assets (project, media_type) WHERE algorithm IS NULL AND status = 'ready';

CREATE TABLE media (
  id uuid PRIMARY KEY,
  project uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
  -- Null while the bytes come in: until then they are nobody's.
  asset bigint UNIQUE REFERENCES assets ON DELETE CASCADE,
  content_type text NOT NULL,
  size_bytes bigint,
  sha256 text,
  -- Nobody needs them from then on; null: they stay as long as their asset. Put off while an upload goes on.
  expires_at timestamptz
);
CREATE INDEX ON media (project);
CREATE INDEX ON media (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE media_chunks (
  media uuid NOT NULL REFERENCES media ON DELETE CASCADE,
  number integer NOT NULL,
  content bytea NOT NULL,
  PRIMARY KEY (media, number)
);
-- Media are compressed already.
ALTER TABLE media_chunks ALTER content SET STORAGE EXTERNAL;

CREATE TABLE hashes (
  asset bigint PRIMARY KEY REFERENCES assets ON DELETE CASCADE,
  -- The project's number.
  project integer NOT NULL,
  md5 bytea,
  sha1 bytea,
  sha256 bytea,
  pdq bit(256),
  phash bit(64),
  dhash bit(64),
  ahash bit(64),
  whash bit(64),
  -- The project's number, then what index_svc.hashes makes of the five above.
  bands bigint[] NOT NULL
);
CREATE INDEX ON hashes (project, md5) WHERE md5 IS NOT NULL;
CREATE INDEX ON hashes (project, sha1) WHERE sha1 IS NOT NULL;
CREATE INDEX ON hashes (project, sha256) WHERE sha256 IS NOT NULL;
-- What is put off has to be gone through by every search, entry by entry and band by band.
CREATE INDEX ON hashes USING gin (bands) WITH (fastupdate = off);
