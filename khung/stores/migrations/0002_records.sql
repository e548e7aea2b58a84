-- A shard's rows are written in one transaction and never changed: the row in `shards` is their publish marker.
CREATE TABLE shards (
    shard_id text COLLATE "C" PRIMARY KEY,
    frames integer NOT NULL,
    loaded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE videos (
    shard_id text COLLATE "C" NOT NULL REFERENCES shards ON DELETE CASCADE,
    video_id text COLLATE "C" NOT NULL,
    video jsonb NOT NULL,
    shots jsonb NOT NULL,
    PRIMARY KEY (shard_id, video_id)
);

CREATE TABLE frames (
    shard_id text COLLATE "C" NOT NULL REFERENCES shards ON DELETE CASCADE,
    vector_id bigint NOT NULL,
    video_id text COLLATE "C" NOT NULL,
    frame_index integer NOT NULL,
    pts_ms integer NOT NULL,
    shot_index integer NOT NULL,
    phash bigint NOT NULL,      -- the 64 bits of the hash, signed
    words jsonb NOT NULL,       -- facet → values; what conditions ask for
    record jsonb NOT NULL,      -- the whole FrameRecord
    PRIMARY KEY (shard_id, video_id, frame_index)
);
CREATE INDEX frames_by_words ON frames USING gin (words jsonb_path_ops);
CREATE INDEX frames_by_time ON frames (shard_id, pts_ms);
