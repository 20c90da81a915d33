-- Projects are the tenants: every row below belongs to one.
-- depends:

CREATE TABLE secrets (
  name text PRIMARY KEY,
  value bytea NOT NULL
);

CREATE TABLE plans (
  name text PRIMARY KEY,
  -- What a project on this plan may use; anything else is feature_disabled.
  features text[] NOT NULL,
  -- How many assets may be ready at once; null: no limit.
  max_ready_images bigint,
  max_ready_videos bigint,
  max_ready_audio bigint,
  -- A month; null: no limit.
  max_search_bytes bigint,
  max_searches bigint,
  max_requests_per_second integer
);

INSERT INTO plans VALUES
  ('free', '{image:index,image:search,video:index,video:search,audio:index,audio:search}', 10000, 500, 2000, 10737418240, 10000, 10),
  ('unlimited', '{image:index,image:search,video:index,video:search,audio:index,audio:search}', NULL, NULL, NULL, NULL, NULL, NULL);

CREATE TABLE projects (
  id uuid PRIMARY KEY,
  -- What postings carry instead of the id, for their size.
  number integer GENERATED ALWAYS AS IDENTITY UNIQUE,
  name text NOT NULL,
  plan text NOT NULL REFERENCES plans,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE keys (
  id text PRIMARY KEY,
  project uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
  name text NOT NULL,
  -- HMAC-SHA256 of the whole key.
  digest bytea NOT NULL,
  scopes text[] NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz,
  revoked_at timestamptz,
  last_used_at timestamptz
);
CREATE INDEX ON keys (project);

CREATE TABLE jobs (
  id uuid PRIMARY KEY,
  project uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
  media_type smallint NOT NULL,
  number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
  -- Assets that were accepted; those deleted since are in it.
  total integer NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON jobs (project, number);

CREATE TABLE assets (
  -- What postings carry instead of the id, for their size.
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id uuid NOT NULL,
  project uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
  media_type smallint NOT NULL,
  status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'processing', 'ready', 'failed')),
  job uuid NOT NULL REFERENCES jobs,
  -- Forgotten once the asset is ready: URLs may carry secrets.
  url text,
  name text NOT NULL,
  collection text NOT NULL,
  owner text NOT NULL,
  metadata jsonb NOT NULL,
  error_code text,
  error_message text,
  created_at timestamptz NOT NULL DEFAULT now(),
  finished_at timestamptz,
  -- From then on it is as if it had been deleted, and soon it is.
  expires_at timestamptz,
  algorithm text,
  version integer,
  sha256 text,
  UNIQUE (project, id)
);
CREATE INDEX ON assets (project, number);
CREATE INDEX ON assets (job);
CREATE INDEX ON assets (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX ON assets (project, media_type, sha256) WHERE sha256 IS NOT NULL;

-- What was answered to a request that a client may send again, not knowing whether it came through.
CREATE TABLE repeatable_requests (
  project uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
  key text NOT NULL,
  -- SHA-256 of what was asked for.
  digest bytea NOT NULL,
  asset uuid NOT NULL,
  job uuid NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project, key)
);
CREATE INDEX ON repeatable_requests (created_at);

CREATE TABLE fingerprints (
  asset bigint PRIMARY KEY REFERENCES assets ON DELETE CASCADE,
  -- As its matcher made it, terms aside.
  payload bytea NOT NULL,
  -- The asset's postings are found again by these.
  terms bigint[] NOT NULL,
  positions integer[] NOT NULL
);
-- Already compressed.
ALTER TABLE fingerprints ALTER payload SET STORAGE EXTERNAL;

-- The inverted index. Read by its key alone, so that the rows themselves are never visited.
CREATE TABLE postings (
  project integer NOT NULL,
  media_type smallint NOT NULL,
  term bigint NOT NULL,
  asset bigint NOT NULL,
  -- Milliseconds into the asset; zero where time does not matter.
  position integer NOT NULL,
  PRIMARY KEY (project, media_type, term, asset, position)
);
-- Visibility is what keeps the scan off the table.
ALTER TABLE postings SET (autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_vacuum_scale_factor = 0.05);
