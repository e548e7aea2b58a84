"""The dining room: the HTTP service. It answers from sealed snapshots and the archive; it never opens a video."""
