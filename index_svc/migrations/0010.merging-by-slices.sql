-- Runs are merged a slice of their terms at a time, each slice in a transaction of its own.
-- depends: 0009.decisions

ALTER TABLE runs
  -- The run that it is becoming a part of.
  ADD merged_into bigint,
  -- Nobody looks for terms before it or behind: what lay before has gone over into that other run, what is to lie behind has not come yet.
  -- There an index scan would step over everything that is deleted already, or not committed yet.
  ADD first_term bigint NOT NULL DEFAULT -9223372036854775808,
  ADD last_term bigint NOT NULL DEFAULT 9223372036854775807;
-- Whoever makes a run says them: an index from before knows nothing of slices, nor, perhaps, of sounds on a shelf of their own, and makes none.
ALTER TABLE runs ALTER first_term DROP DEFAULT, ALTER last_term DROP DEFAULT;

CREATE OR REPLACE FUNCTION delete_blocks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM blocks WHERE run = OLD.id AND first_term >= OLD.first_term;
  RETURN NULL;
END
$$;
