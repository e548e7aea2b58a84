"""The engine for the commands that ask it: over the snapshot in service, closed when the command is through."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from khung.errors import ConfigError
from khung.settings import settings

if TYPE_CHECKING:
    from khung.search.engine import Engine
    from khung.shards.snapshot import Snapshot


@contextmanager
def opened_engine(*, with_vectors: bool = False) -> "Iterator[tuple[Engine, Snapshot]]":
    """The engine and its snapshot. Raises ConfigError while nothing has been published; `with_vectors`: also what keeps the vectors
    from being asked, with its cure, instead of answers without them."""
    from khung.search.assembly import engine_of
    from khung.search.encoders import QueryEncoders
    from khung.shards.shelf import open_shelf

    config = settings()
    shelf, encoders = open_shelf(config), QueryEncoders(config)
    snapshot_id = shelf.follow()
    if snapshot_id is None:
        raise ConfigError(
            "The library is empty: nothing has been published.", cure="Bring videos in first: khung ingest VIDEO…"
        )
    with shelf.open(snapshot_id) as snapshot:
        if with_vectors and len(snapshot.records):
            encoders.of(snapshot.fingerprint)
        yield engine_of(config, snapshot, encoders.of), snapshot
