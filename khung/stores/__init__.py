"""Where things are kept: one Protocol a kind of store, an embedded and a service implementation a file each.

Protocols: `pipeline_stores.py`, `search_stores.py`. Embedded: `archive_local.py`, `ledger_sqlite.py`, `records_duckdb.py`, `text_tantivy.py`,
`vectors_faiss.py`; services: `archive_s3.py`, `ledger_postgres.py`, `records_postgres.py`, `text_opensearch.py`, `vectors_opensearch.py`, `cache_redis.py`.
"""

from khung.stores.pipeline_stores import (
    ALL_STAGES,
    BY_INVITATION,
    MAX_ATTEMPTS,
    STAGES,
    Archive,
    Ledger,
    LedgerEntry,
)
from khung.stores.search_stores import (
    FrameFilter,
    QueryCache,
    RecordStore,
    TextClause,
    TextHit,
    TextIndex,
    Timeline,
    VectorIndex,
)

__all__ = [
    "ALL_STAGES",
    "BY_INVITATION",
    "MAX_ATTEMPTS",
    "STAGES",
    "Archive",
    "FrameFilter",
    "Ledger",
    "LedgerEntry",
    "QueryCache",
    "RecordStore",
    "TextClause",
    "TextHit",
    "TextIndex",
    "Timeline",
    "VectorIndex",
]
