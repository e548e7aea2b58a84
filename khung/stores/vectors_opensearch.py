"""Vectors in OpenSearch's k-NN: for libraries that outgrow one machine's memory. One concrete index, written once, then read-only.

Lucene's graph over cosine similarity, which of unit vectors is the inner product; filters work inside the search. The engine gives
vectors back in no form, so each also stands as stored fp16 bytes: what comes out is what FAISS's shards hold. Documents carry ids;
positions exist nowhere.
"""

import base64
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from khung.errors import ConfigError, CorruptError, NotFound, StoreError
from khung.stores.opensearch_index import ID, delete_index, in_pieces, index_meta, told, whole
from khung.stores.vectors_build import check_vectors

if TYPE_CHECKING:
    from opensearchpy import OpenSearch

__all__ = ["OpenSearchVectors", "delete_index", "write_index"]

VECTOR, STORED = "vector", "stored"
DIM_MAX = 1024  # of Lucene's graphs in OpenSearch 2.5
K_MAX = 10_000  # the server's own bound
_LINKS, _CANDIDATES = 32, 100  # of the graph: links of a vector, candidates while it is built
_DEPTH = 128  # candidates a segment at the least, for recall
_BULK = 500
_SAME = 1e-6


def write_index(
    client: "OpenSearch", name: str, ids: np.ndarray, vectors: np.ndarray, *, shards: int = 1, replicas: int = 0
) -> int:
    """Write the index `name` from `ids` int64 (n,) and unit `vectors` (n, d), whole or not at all; the number of vectors.

    An index that a crash left half-written is written anew; one that is complete is left as it is. Raises StoreError on vectors
    that no search could use, ConfigError when the engine takes no vectors of so many dimensions.
    """
    from opensearchpy.helpers import streaming_bulk

    ids, vectors = np.asarray(ids, np.int64), np.asarray(vectors, np.float32)
    order = np.argsort(ids, kind="stable")
    check_vectors(ids[order], vectors[order])
    if vectors.shape[1] > DIM_MAX:
        raise ConfigError(
            f"OpenSearch's graphs take {DIM_MAX} dimensions, not {vectors.shape[1]}.",
            cure="Keep the vectors in FAISS shards, or choose a model with fewer dimensions.",
        )
    with told(f"write the index {name}"):
        if (there := index_meta(client, name)) is not None:
            if there.get("complete"):
                return int(there["vectors"])
            client.indices.delete(index=name)
        client.indices.create(index=name, body=_definition(vectors.shape[1], shards, replicas))
        actions = _actions(ids[order], vectors[order])
        for _ in streaming_bulk(client, actions, index=name, chunk_size=_BULK, max_retries=5, request_timeout=120):
            pass
        client.indices.refresh(index=name, request_timeout=120)
        client.indices.forcemerge(index=name, max_num_segments=1, request_timeout=3600)
        meta = {"complete": True, "vectors": len(ids), "dim": vectors.shape[1]}
        client.indices.put_mapping(index=name, body={"_meta": meta})
        client.indices.put_settings(index=name, body={"index": {"blocks.write": True}})
    return len(ids)


def _actions(ids: np.ndarray, vectors: np.ndarray) -> Iterator[dict[str, Any]]:
    rounded = vectors.astype(np.float16)
    for vector_id, half in zip(ids.tolist(), rounded, strict=True):
        bits = base64.b64encode(half.tobytes()).decode("ascii")
        yield {
            "_id": str(vector_id),
            "_source": {ID: vector_id, VECTOR: half.astype(np.float32).tolist(), STORED: bits},
        }


def _definition(dim: int, shards: int, replicas: int) -> dict[str, Any]:
    method = {
        "name": "hnsw", "engine": "lucene", "space_type": "cosinesimil",
        "parameters": {"m": _LINKS, "ef_construction": _CANDIDATES},
    }  # fmt: skip
    return {
        "settings": {
            "index.knn": True,
            "number_of_shards": shards,
            "number_of_replicas": replicas,
            "refresh_interval": "-1",
        },
        "mappings": {
            "dynamic": "strict",
            "_meta": {"complete": False},
            "_source": {"enabled": False},
            "properties": {
                ID: {"type": "long"},
                STORED: {"type": "binary", "store": True},
                VECTOR: {"type": "knn_vector", "dimension": dim, "method": method},
            },
        },
    }


class OpenSearchVectors:
    """A VectorIndex over one complete index. Raises NotFound, or CorruptError when the index is not complete or of another size."""

    def __init__(self, client: "OpenSearch", name: str, dim: int) -> None:
        self.dim = dim
        self._client, self._name = client, name
        with told(f"open the index {name}"):
            meta = index_meta(client, name)
            if meta is None:
                raise NotFound(f"OpenSearch has no index {name}.", cure="Write it from the shelf.")
            self._count = int(client.count(index=name)["count"])
        if not meta.get("complete") or meta.get("vectors") != self._count:
            raise CorruptError(f"The index {name} is not complete.", cure="Write it from the shelf.")
        if meta["dim"] != dim:
            raise CorruptError(f"The index {name} has {meta['dim']} dimensions, not {dim}.")

    def __len__(self) -> int:
        return self._count

    def warm(self) -> None:
        """The server sees to itself."""

    def search(
        self, queries: np.ndarray, k: int, *, allowed: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Ties come by id, also at the edge: there the engine is asked again, without its graph."""
        queries = self._checked(queries, k)
        scores, found = _nothing(len(queries), k)
        for some in in_pieces(allowed) if self._count else []:
            here = self._ask([self._near(q, k, some) for q in queries], k)
            here = self._settled(queries, k, some, *here)
            scores, found = np.concatenate([scores, here[0]], axis=1), np.concatenate([found, here[1]], axis=1)
            order = np.lexsort((found, -scores), axis=1)[:, :k]
            scores, found = np.take_along_axis(scores, order, 1), np.take_along_axis(found, order, 1)
        return scores, found

    def reconstruct(self, vector_id: int) -> np.ndarray:
        with told("read a vector"):
            body = {"query": {"term": {ID: int(vector_id)}}, "stored_fields": [STORED], "size": 1}
            hits = self._client.search(index=self._name, body=body)["hits"]["hits"]
            if not hits:
                raise NotFound(f"There is no vector {vector_id}.")
            bits = base64.b64decode(hits[0]["fields"][STORED][0])
        return np.frombuffer(bits, np.float16).astype(np.float32)

    def ids(self) -> np.ndarray:
        """Every id, ascending."""
        found: list[int] = []
        body: dict[str, Any] = {"size": K_MAX, "_source": False, "sort": [{ID: "asc"}]}
        with told("list ids"):
            while len(page := self._client.search(index=self._name, body=body)["hits"]["hits"]):
                found += [hit["sort"][0] for hit in page]
                body["search_after"] = page[-1]["sort"]
        return np.array(found, np.int64)

    def _near(self, query: np.ndarray, k: int, allowed: np.ndarray | None) -> dict[str, Any]:
        asked: dict[str, Any] = {"vector": query.tolist(), "k": min(max(k + 1, _DEPTH), K_MAX)}
        if allowed is not None:
            asked["filter"] = {"terms": {ID: allowed.tolist()}}
        return {"knn": {VECTOR: asked}}

    def _exact(self, query: np.ndarray, allowed: np.ndarray | None) -> dict[str, Any]:
        among = {"match_all": {}} if allowed is None else {"terms": {ID: allowed.tolist()}}
        source = {"field": VECTOR, "query_value": query.tolist(), "space_type": "cosinesimil"}
        return {"script_score": {"query": among, "script": {"source": "knn_score", "lang": "knn", "params": source}}}

    def _ask(self, asked: Sequence[dict[str, Any]], k: int, scale: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
        """`(scores, ids)`, one column more than k where there are so many: it shows a tie at the edge. The engine's scores are
        (1 + cos) / 2 of its graph, 1 + cos of its script."""
        body: list[dict[str, Any]] = []
        for query in asked:
            sort = [{"_score": "desc"}, {ID: "asc"}]
            body += [
                {},
                {"size": min(k + 1, K_MAX), "query": query, "sort": sort, "_source": False, "track_total_hits": False},
            ]
        scores, ids = _nothing(len(asked), k + 1)
        with told("search"):
            answers = self._client.msearch(body=body, index=self._name)["responses"]
            for row, answer in enumerate(answers):
                whole(answer)
                for place, hit in enumerate(answer["hits"]["hits"]):
                    scores[row, place], ids[row, place] = hit["sort"][0] * scale - 1, hit["sort"][1]
        return scores, ids

    def _settled(
        self, queries: np.ndarray, k: int, allowed: np.ndarray | None, scores: np.ndarray, ids: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """A graph finds some of many equal vectors, and may find too few: then every allowed one is looked at."""
        there = min(k, self._count if allowed is None else len(allowed))
        unsure = (ids[:, k] >= 0) & (scores[:, k] > scores[:, k - 1] - _SAME) | (ids[:, :there] < 0).any(axis=1)
        if unsure.any():
            exact = [self._exact(query, allowed) for query in queries[unsure]]
            scores[unsure], ids[unsure] = self._ask(exact, k, scale=1.0)
        return scores[:, :k], ids[:, :k]

    def _checked(self, queries: np.ndarray, k: int) -> np.ndarray:
        queries = np.ascontiguousarray(queries, np.float32)
        if queries.ndim != 2 or queries.shape[-1] != self.dim or not np.isfinite(queries).all():
            raise StoreError(f"Queries of shape {queries.shape} are not finite vectors of {self.dim} dimensions.")
        if not 1 <= k < K_MAX:
            raise ConfigError(f"k must be from 1 to {K_MAX - 1}, not {k}.")
        return queries


def _nothing(n: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    return np.full((n, k), -np.inf, np.float32), np.full((n, k), -1, np.int64)
