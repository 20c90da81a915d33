-- Assets are fingerprinted again where their matcher makes another version now.
-- depends: 0004.bulk 0005.packed-postings

ALTER TABLE jobs DROP CONSTRAINT jobs_kind_check;
ALTER TABLE jobs ADD CONSTRAINT jobs_kind_check CHECK (kind IN ('asset', 'csv', 'zip', 'refingerprint'));

CREATE TABLE renewals (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  job uuid NOT NULL REFERENCES jobs ON DELETE CASCADE,
  -- Its place in the job, from 1.
  number integer NOT NULL,
  -- No reference: where it is deleted before its turn the job goes on with the next one.
  asset bigint NOT NULL,
  -- Processing: there is a task for it.
  status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'processing', 'ready', 'failed')),
  error_code text,
  error_message text,
  finished_at timestamptz,
  UNIQUE (job, number)
);
CREATE INDEX ON renewals (job, number) WHERE status = 'pending';

-- What there is of each version, without a look at the assets themselves.
CREATE INDEX ON assets (project, media_type, algorithm, version) WHERE status = 'ready';

ALTER TABLE assets
  -- What runs up to this one have of the asset is of an earlier fingerprint.
  ADD stale_runs bigint NOT NULL DEFAULT 0;

ALTER TABLE runs
  -- It holds what assets no longer have, and is to be written again without it.
  ADD is_stale boolean NOT NULL DEFAULT false;
