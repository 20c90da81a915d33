-- Postings leave their rows, of 100 bytes each, for sorted blocks, of 9 to 14.
-- depends: 0001.projects-assets-postings

-- What is sorted together; small ones are merged into larger ones.
CREATE TABLE runs (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  project integer NOT NULL REFERENCES projects (number) ON DELETE CASCADE,
  media_type smallint NOT NULL,
  -- Blocks count the numbers of assets from here.
  first_asset bigint NOT NULL,
  postings bigint NOT NULL
);
CREATE INDEX ON runs (project, media_type);

CREATE TABLE blocks (
  -- No foreign key: millions of rows come at once, and it would be asked for each.
  run bigint NOT NULL,
  first_term bigint NOT NULL,
  pairs bytea NOT NULL,
  positions bytea,
  PRIMARY KEY (run, first_term)
);
ALTER TABLE blocks ALTER pairs SET STORAGE EXTERNAL, ALTER positions SET STORAGE EXTERNAL;

CREATE FUNCTION delete_blocks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM blocks WHERE run = OLD.id;
  RETURN NULL;
END
$$;
CREATE TRIGGER runs_take_their_blocks_along AFTER DELETE ON runs FOR EACH ROW EXECUTE FUNCTION delete_blocks();

-- The terms of assets that are in no run yet. Searches read them whole, so they are few.
CREATE TABLE unpacked (
  asset bigint PRIMARY KEY REFERENCES assets ON DELETE CASCADE,
  project integer NOT NULL REFERENCES projects (number) ON DELETE CASCADE,
  media_type smallint NOT NULL,
  terms bigint[] NOT NULL,
  -- Milliseconds into the asset; null where time does not matter.
  positions integer[]
);
CREATE INDEX ON unpacked (project, media_type);

INSERT INTO unpacked
  SELECT fingerprints.asset, projects.number, assets.media_type, fingerprints.terms, fingerprints.positions
    FROM fingerprints JOIN assets ON assets.number = fingerprints.asset JOIN projects ON projects.id = assets.project
   WHERE assets.status = 'ready';

DROP TABLE postings;
-- Its matcher tells what to ask for; what is kept of them is in the blocks.
ALTER TABLE fingerprints DROP COLUMN terms, DROP COLUMN positions;
