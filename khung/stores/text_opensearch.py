"""BM25 in OpenSearch: one concrete index a snapshot, written once, then read-only. Fed the same words as tantivy.

How indexes are written is opensearch_index.py. Term weights count over all of the index's shards
(`dfs_query_then_fetch`). From its version 3 on the engine leaves out the factor k1 + 1; the boosts put it back.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from khung.errors import CorruptError, NotFound
from khung.stores import TextClause, TextHit
from khung.stores.idsets import is_in
from khung.stores.opensearch_index import (
    FILTER_UP_TO,
    ID,
    in_pieces,
    index_meta,
    told,
    whole,
)
from khung.stores.text_clauses import by_facet, check_clauses, check_field, most_frequent, one_of, rounded
from khung.text.fields import FACETS, TEXT_VERSION, WORD_FIELDS

if TYPE_CHECKING:
    from opensearchpy import OpenSearch

_PAGE = 2_000
_COUNTED = 10_000  # values of facets, and words that begin alike, which a shard counts exactly
_MARK = "\ue000"  # before a word that was found; of the private use area, so no word holds it


class OpenSearchText:
    """A TextIndex over one complete index. Raises NotFound, or CorruptError when the index is not complete or of other words."""

    def __init__(self, client: "OpenSearch", name: str) -> None:
        self._client, self._name = client, name
        with told(f"open the index {name}"):
            meta = index_meta(client, name)
            if meta is None:
                raise NotFound(f"OpenSearch has no index {name}.", cure="Write it from the shelf.")
            self._documents = int(client.count(index=name)["count"])
            major = int(client.info()["version"]["number"].split(".")[0])
        self._factor = 2.2 if major >= 3 else 1.0
        if not meta.get("complete") or meta.get("documents") != self._documents:
            raise CorruptError(f"The index {name} is not complete.", cure="Write it from the shelf.")
        if meta.get("text_version") != TEXT_VERSION:
            raise CorruptError(f"The index {name} has words of another version.", cure="Write it from the shelf.")

    def __len__(self) -> int:
        return self._documents

    def warm(self) -> None:
        """The server sees to itself."""

    def document_counts(self, clauses: Sequence[TextClause]) -> list[int]:
        check_clauses(clauses)
        if not clauses:
            return []
        body: list[dict[str, Any]] = []
        for clause in clauses:
            body += [{}, {"size": 0, "track_total_hits": True, "query": {"term": {clause.field: clause.term}}}]
        with told("count documents"):
            answers = self._client.msearch(body=body, index=self._name)["responses"]
            for answer in answers:
                whole(answer)
            return [answer["hits"]["total"]["value"] for answer in answers]

    def search(
        self, clauses: Sequence[TextClause], *, limit: int, allowed: np.ndarray | None = None, terms: bool = True
    ) -> list[TextHit]:
        check_clauses(clauses)
        if not clauses or limit <= 0 or (allowed is not None and not len(allowed)):
            return []
        query: dict[str, Any] = {"bool": {"should": self._should(clauses, terms), "minimum_should_match": 1}}
        outside = allowed is not None and len(allowed) > FILTER_UP_TO
        if allowed is not None and not outside:
            query["bool"]["filter"] = {"terms": {ID: allowed.tolist()}}
        found: list[dict[str, Any]] = []
        with told("search"):
            for page in self._pages(query, _PAGE if outside else min(limit, _PAGE)):
                found += _kept(page, allowed) if outside else page
                if len(found) >= limit:
                    break
            return _as_hits(found[:limit], clauses)

    def best(
        self, clauses: Sequence[TextClause], *, limit: int, allowed: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        hits = self.search(clauses, limit=limit, allowed=allowed, terms=False)
        return np.array([h.score for h in hits], np.float32), np.array([h.vector_id for h in hits], np.int64)

    def holding(self, clauses: Sequence[TextClause], vector_ids: np.ndarray) -> list[np.ndarray] | None:
        check_clauses(clauses)
        return None

    def facets(self, clauses: Sequence[TextClause], *, allowed: np.ndarray | None = None) -> dict[str, dict[str, int]]:
        check_clauses(clauses)
        should = {"should": self._should(clauses, False), "minimum_should_match": 1} if clauses else {}
        counts: Counter[str] = Counter()
        for some in in_pieces(allowed):
            only = {} if some is None else {"filter": {"terms": {ID: some.tolist()}}}
            counts.update(self._counts(FACETS, {"bool": {**should, **only}}))
        return by_facet(counts)

    def highlight(self, clauses: Sequence[TextClause], vector_ids: Sequence[int]) -> list[dict[str, tuple[int, ...]]]:
        check_clauses(clauses)
        found: dict[int, dict[str, tuple[int, ...]]] = {}
        asked = {"bool": {"should": self._should(clauses, False)}} if clauses else {"match_none": {}}
        fields = {name: {"type": "plain", "number_of_fragments": 0} for name in WORD_FIELDS}
        for start in range(0, len(vector_ids), _PAGE):
            body = {
                "size": _PAGE, "query": {"terms": {ID: [int(i) for i in vector_ids[start : start + _PAGE]]}}, "sort": [{ID: "asc"}],
                "_source": False, "highlight": {"pre_tags": [_MARK], "post_tags": [""], "highlight_query": asked, "fields": fields},
            }  # fmt: skip
            with told("highlight"):
                answer = self._client.search(index=self._name, body=body)
                whole(answer)
                found |= {hit["sort"][0]: _places(hit.get("highlight", {})) for hit in answer["hits"]["hits"]}
        return [one_of(found, int(i)) for i in vector_ids]

    def suggest(self, field: str, prefix: str, *, limit: int) -> list[tuple[str, int]]:
        check_field(field)
        pattern = "".join(c if c.isalnum() else f"\\{c}" for c in prefix) + ".*"
        query = {"prefix": {field: prefix}} if prefix else {"match_all": {}}
        return most_frequent(self._counts(field, query, include=pattern))[: max(limit, 0)]

    def _counts(self, field: str, query: dict[str, Any], **only: str) -> dict[str, int]:
        """term → documents, of the documents that the query finds."""
        counted = {"terms": {"field": field, "size": _COUNTED, "shard_size": _COUNTED, **only}}
        with told(f"count {field}"):
            answer = self._client.search(
                index=self._name, body={"size": 0, "query": query, "aggs": {"counted": counted}},
                allow_partial_search_results=False,
            )  # fmt: skip
            whole(answer)
            return {bucket["key"]: bucket["doc_count"] for bucket in answer["aggregations"]["counted"]["buckets"]}

    def _should(self, clauses: Sequence[TextClause], named: bool) -> list[dict[str, Any]]:
        asked = []
        for number, clause in enumerate(clauses):
            name = {"_name": str(number)} if named else {}
            asked.append({"term": {clause.field: {"value": clause.term, "boost": clause.boost * self._factor, **name}}})
        return asked

    def ids(self) -> np.ndarray:
        """Every document's vector id, ascending."""
        with told("list ids"):
            pages = self._pages({"constant_score": {"filter": {"match_all": {}}}}, 10_000)
            return np.sort(np.array([hit["sort"][1] for page in pages for hit in page], np.int64))

    def _pages(self, query: dict[str, Any], size: int) -> Iterator[list[dict[str, Any]]]:
        """Every hit, best first, ties by id, page after page: the index cannot change in between."""
        body: dict[str, Any] = {
            "size": size, "query": query, "sort": [{"_score": "desc"}, {ID: "asc"}], "_source": False, "track_total_hits": False,
        }  # fmt: skip
        while True:
            answer = self._client.search(
                index=self._name, body=body, search_type="dfs_query_then_fetch", allow_partial_search_results=False
            )
            whole(answer)
            hits = answer["hits"]["hits"]
            yield hits
            if len(hits) < size:
                return
            body["search_after"] = hits[-1]["sort"]


def _kept(page: Sequence[dict[str, Any]], allowed: np.ndarray) -> list[dict[str, Any]]:
    ids = np.array([hit["sort"][1] for hit in page], np.int64)
    return [hit for hit, ok in zip(page, is_in(ids, allowed), strict=True) if ok]


def _as_hits(found: Sequence[dict[str, Any]], clauses: Sequence[TextClause]) -> list[TextHit]:
    scores = rounded(np.array([hit["sort"][0] for hit in found]))
    hits = []
    for hit, score in zip(found, scores.tolist(), strict=True):
        numbers = sorted(map(int, hit.get("matched_queries", ())))
        hits.append(TextHit(hit["sort"][1], score, tuple(dict.fromkeys(clauses[n].term for n in numbers))))
    return sorted(hits, key=lambda hit: (-hit.score, hit.vector_id))


def _places(marked: Mapping[str, Sequence[str]]) -> dict[str, tuple[int, ...]]:
    """field → places of the marked words."""
    return {
        name: tuple(i for i, word in enumerate(whole.split(" ")) if word.startswith(_MARK))
        for name, (whole,) in marked.items()
    }
