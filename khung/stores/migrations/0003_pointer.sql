-- The snapshot in service: the last move counts. `version` is taken by exactly one publisher.
CREATE TABLE pointer_moves (
    version bigint PRIMARY KEY,
    snapshot_id text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    reason text NOT NULL
);
