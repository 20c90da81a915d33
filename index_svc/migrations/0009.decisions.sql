-- What projects decide by, and what was decided.
-- depends: 0008.swept-blocks

CREATE TABLE profiles (
  project uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
  name text NOT NULL,
  -- Null: the profile is not for that medium.
  image double precision CHECK (image BETWEEN 0 AND 1),
  video double precision CHECK (video BETWEEN 0 AND 1),
  audio double precision CHECK (audio BETWEEN 0 AND 1),
  note text NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project, name)
);

CREATE TABLE policies (
  project uuid NOT NULL REFERENCES projects ON DELETE CASCADE,
  name text NOT NULL,
  -- Each lane's name to the score from which on it begins.
  lanes jsonb NOT NULL,
  otherwise text NOT NULL,
  note text NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project, name)
);

ALTER TABLE projects
  ADD decision_log boolean NOT NULL DEFAULT false,
  -- Null: for good.
  ADD decision_days integer CHECK (decision_days >= 1);

-- Only ever appended to. Not on delete cascade: a log outlives what it is about, and is deleted by its age alone.
CREATE TABLE decisions (
  -- Given under a lock that is held to the end of the transaction, so that whoever reads on from a number misses none.
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  project uuid NOT NULL REFERENCES projects,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  request_id text NOT NULL,
  endpoint text NOT NULL,
  media_type smallint NOT NULL,
  source_sha256 bytea,
  target_sha256 bytea,
  source_pdq bytea,
  target_pdq bytea,
  score double precision,
  confidence text NOT NULL,
  is_match boolean NOT NULL,
  threshold double precision NOT NULL,
  profile text NOT NULL,
  policy text NOT NULL,
  lane text NOT NULL,
  algorithm text NOT NULL,
  version integer NOT NULL,
  -- Of a search: [[asset, score], …]; null: a pair.
  hits jsonb
);
CREATE INDEX ON decisions (project, number);

CREATE FUNCTION keep_decision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND EXISTS (
    SELECT 1 FROM projects WHERE id = OLD.project AND OLD.at < clock_timestamp() - make_interval(days => decision_days)
  ) THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION 'decisions are only ever appended to';
END $$;

CREATE TRIGGER keep_decision BEFORE UPDATE OR DELETE ON decisions FOR EACH ROW EXECUTE FUNCTION keep_decision();
CREATE TRIGGER keep_decisions BEFORE TRUNCATE ON decisions FOR EACH STATEMENT EXECUTE FUNCTION keep_decision();
