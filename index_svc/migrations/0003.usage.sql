-- What projects use of their plans.
-- depends: 0001.projects-assets-postings

ALTER TABLE plans RENAME max_requests_per_second TO requests_per_second;
ALTER TABLE plans
  -- How many seconds' worth of requests may come at once.
  ADD burst_seconds integer NOT NULL DEFAULT 1 CHECK (burst_seconds >= 1),
  -- Of the pair endpoints, a month; null: no limit.
  ADD max_calls bigint,
  -- Searches are refused from max_searches times this on.
  ADD search_soft_factor double precision NOT NULL DEFAULT 1 CHECK (search_soft_factor >= 1);
UPDATE plans SET max_calls = 10000 WHERE name = 'free';

-- A rate of the key's own instead of the plan's.
ALTER TABLE keys
  ADD requests_per_second integer,
  ADD burst_seconds integer;

-- A project's month; what has no row was not used.
CREATE TABLE usage (
  project uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
  -- Its first day (UTC).
  period date NOT NULL,
  searches bigint NOT NULL DEFAULT 0 CHECK (searches >= 0),
  search_bytes bigint NOT NULL DEFAULT 0 CHECK (search_bytes >= 0),
  calls bigint NOT NULL DEFAULT 0 CHECK (calls >= 0),
  PRIMARY KEY (project, period)
-- Room beside each row for its next versions.
) WITH (fillfactor = 50);

-- How many assets are ready: counted where they become so and where they are deleted, in the same transaction.
CREATE TABLE ready_assets (
  project uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
  media_type smallint NOT NULL,
  ready bigint NOT NULL CHECK (ready >= 0),
  PRIMARY KEY (project, media_type)
) WITH (fillfactor = 50);
INSERT INTO ready_assets
SELECT project, media_type, count(*) FROM assets WHERE status = 'ready' GROUP BY project, media_type;
