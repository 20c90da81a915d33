-- Jobs of many rows: what they read, how far they are, and the rows that became no asset.
-- depends: 0001.projects-assets-postings 0002.uploads-and-hashes

ALTER TABLE jobs
  -- Null: of several media.
  ALTER media_type DROP NOT NULL,
  ADD kind text NOT NULL DEFAULT 'asset' CHECK (kind IN ('asset', 'csv', 'zip')),
  -- Of a file of rows: its bytes, or the address of the archive that holds it; forgotten once it is read.
  ADD source uuid REFERENCES media ON DELETE SET NULL,
  ADD url text,
  -- Of the archive when it was first read.
  ADD sha256 text,
  -- The media that whoever sent the file may index.
  ADD allowed smallint[] NOT NULL DEFAULT '{}',
  ADD is_reading boolean NOT NULL DEFAULT false,
  -- The row up to which all are assets or refused, and how many these are.
  ADD read_to integer NOT NULL DEFAULT 0,
  ADD rows_read integer NOT NULL DEFAULT 0,
  ADD rows_refused integer NOT NULL DEFAULT 0,
  -- When the last row was read; why none or not all could be.
  ADD read_at timestamptz,
  ADD error_code text,
  ADD error_message text,
  ADD cancelled_at timestamptz;

ALTER TABLE assets
  -- The line of its row, and what file of an archive that is about.
  ADD line integer,
  ADD file text;
DROP INDEX assets_job_idx;
CREATE INDEX ON assets (job, line);

CREATE TABLE refused_rows (
  job uuid NOT NULL REFERENCES jobs ON DELETE CASCADE,
  number integer NOT NULL,
  -- Null: no row is about this file; they come after the last row.
  line integer,
  file text,
  code text NOT NULL,
  message text NOT NULL,
  PRIMARY KEY (job, number)
);
