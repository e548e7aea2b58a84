"""The text indexes of all snapshots in one OpenSearch: one concrete index each, named by the snapshot's id.

An index is opened when it is first asked, so that a snapshot goes into service while OpenSearch is down: its text channels
then fail and are named, and answer again by themselves once the server is back. After a failure it is left alone for a moment.
"""

import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from khung.errors import ConfigError, NotFound, StoreError
from khung.stores import TextClause, TextHit, TextIndex
from khung.stores.opensearch_index import delete_index, index_names, write_index
from khung.stores.text_opensearch import OpenSearchText

if TYPE_CHECKING:
    from opensearchpy import OpenSearch

T = TypeVar("T")
_PREFIX = re.compile(r"[a-z0-9][a-z0-9_-]{0,60}")


class TextIndexes:
    """The indexes whose names begin with `prefix`. Questions go to `client`, which is impatient; `writer` takes its time."""

    def __init__(self, client: "OpenSearch", writer: "OpenSearch", prefix: str, *, replicas: int = 0) -> None:
        if not _PREFIX.fullmatch(prefix):
            raise ConfigError(f"“{prefix}” cannot begin an index's name.", cure="Use small letters, digits, - and _.")
        self._client, self._writer = client, writer
        self._prefix, self._replicas = f"{prefix}-frames-", replicas

    def name(self, snapshot_id: str) -> str:
        return f"{self._prefix}{snapshot_id}"

    def write(self, snapshot_id: str, documents: Iterable[tuple[int, Mapping[str, str]]]) -> int:
        """Write the snapshot's index, if it is not there yet, and close it to writers; the number of documents. Raises StoreError."""
        return write_index(self._writer, self.name(snapshot_id), documents, replicas=self._replicas)

    def text(self, snapshot_id: str) -> TextIndex:
        """The snapshot's index. Asking nothing yet; each question raises StoreError while the server does not answer."""
        return _WhenAsked(lambda: OpenSearchText(self._client, self.name(snapshot_id)))

    def snapshots(self) -> list[str]:
        """The ids of the snapshots that have an index. Raises StoreError."""
        return [name.removeprefix(self._prefix) for name in index_names(self._writer, f"{self._prefix}*")]

    def drop(self, snapshot_ids: Collection[str]) -> None:
        """No error for what is not there."""
        for snapshot_id in snapshot_ids:
            delete_index(self._writer, self.name(snapshot_id))


class _WhenAsked:
    """A TextIndex that is opened at the first question and left alone for `pause_s` after a failure. Thread-safe."""

    def __init__(self, open_index: Callable[[], OpenSearchText], pause_s: float = 1.0) -> None:
        self._open, self._pause_s = open_index, pause_s
        self._index: OpenSearchText | None = None
        self._failed: tuple[float, StoreError] | None = None

    def __len__(self) -> int:
        return self._ask(len)

    def warm(self) -> None:
        """The server sees to itself."""

    def document_counts(self, clauses: Sequence[TextClause]) -> list[int]:
        return self._ask(lambda index: index.document_counts(clauses))

    def search(self, clauses: Sequence[TextClause], *, limit: int, allowed: np.ndarray | None = None) -> list[TextHit]:
        return self._ask(lambda index: index.search(clauses, limit=limit, allowed=allowed))

    def best(
        self, clauses: Sequence[TextClause], *, limit: int, allowed: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        return self._ask(lambda index: index.best(clauses, limit=limit, allowed=allowed))

    def holding(self, clauses: Sequence[TextClause], vector_ids: np.ndarray) -> list[np.ndarray] | None:
        return None  # the server is not asked for what its readers know, least of all while it is down

    def facets(self, clauses: Sequence[TextClause], *, allowed: np.ndarray | None = None) -> dict[str, dict[str, int]]:
        return self._ask(lambda index: index.facets(clauses, allowed=allowed))

    def highlight(self, clauses: Sequence[TextClause], vector_ids: Sequence[int]) -> list[dict[str, tuple[int, ...]]]:
        return self._ask(lambda index: index.highlight(clauses, vector_ids))

    def suggest(self, field: str, prefix: str, *, limit: int) -> list[tuple[str, int]]:
        return self._ask(lambda index: index.suggest(field, prefix, limit=limit))

    def ids(self) -> np.ndarray:
        return self._ask(lambda index: index.ids())

    def _ask(self, question: Callable[[OpenSearchText], T]) -> T:
        if self._failed and time.monotonic() < self._failed[0]:
            failed = self._failed[1]
            raise StoreError(failed.message, cure=failed.cure, said=failed.said)
        try:
            index = self._index = self._index or self._open()
            answer = question(index)
        except StoreError as error:
            self._failed = (time.monotonic() + self._pause_s, error)
            if isinstance(error, NotFound):  # of the index: an outage, and nothing that the searcher asked for
                raise StoreError(error.message, cure=error.cure) from error
            raise
        self._failed = None
        return answer
