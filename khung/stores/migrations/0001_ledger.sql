CREATE TABLE claims (
    video_id text COLLATE "C" PRIMARY KEY,
    sha256 text NOT NULL,
    source_name text NOT NULL,
    linked_to text NOT NULL DEFAULT '',
    claimed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX claims_by_content ON claims (sha256);
CREATE UNIQUE INDEX claims_one_owner ON claims (sha256) WHERE linked_to = '';

CREATE TABLE entries (
    video_id text COLLATE "C" NOT NULL,
    stage text COLLATE "C" NOT NULL,
    state text NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    attempt integer NOT NULL,
    code_version text NOT NULL,
    fingerprint text NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (video_id, stage)
);
CREATE INDEX entries_by_state ON entries (stage, state);
