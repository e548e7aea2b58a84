"""BM25 in OpenSearch: one concrete index a snapshot, written once, then read-only. Fed the same words as tantivy.

The whitespace analyser and nothing else stands in the engine. Term weights count over all of the index's shards
(`dfs_query_then_fetch`). From its version 3 on the engine leaves out the factor k1 + 1; the boosts put it back.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from khung.errors import CorruptError, NotFound, StoreError
from khung.stores import TextClause, TextHit
from khung.stores.idsets import is_in
from khung.stores.text_clauses import by_facet, check_clauses, check_field, most_frequent, one_of, rounded
from khung.text.fields import FACETS, FIELDS, TEXT_VERSION, WORD_FIELDS

if TYPE_CHECKING:
    from opensearchpy import OpenSearch

ID = "vector_id"
_PAGE = 2_000
_FILTER_UP_TO = 20_000  # allowed ids that are cheaper as a filter than as a look at the hits; the server takes 65,536
_BULK = 1_000
_COUNTED = 10_000  # values of facets, and words that begin alike, which a shard counts exactly
_MARK = "\ue000"  # before a word that was found; of the private use area, so no word holds it


def connect(url: str, *, timeout_s: float = 5.0) -> "OpenSearch":
    """A client; `http(s)://[user:password@]host:port`. Requests are not repeated within a search."""
    from opensearchpy import OpenSearch

    return OpenSearch(url, timeout=timeout_s, max_retries=0, http_compress=True)


def write_index(
    client: "OpenSearch",
    name: str,
    documents: Iterable[tuple[int, Mapping[str, str]]],
    *,
    shards: int = 1,
    replicas: int = 0,
) -> int:
    """Write the index `name` from `(vector id, field → words)`, whole or not at all; the number of documents.

    An index that a crash left half-written is written anew; one that is complete is left as it is.
    """
    from opensearchpy.helpers import streaming_bulk

    with told(f"write the index {name}"):
        if (there := index_meta(client, name)) is not None:
            if there.get("complete"):
                return int(there["documents"])
            client.indices.delete(index=name)
        client.indices.create(index=name, body=_definition(shards, replicas))
        actions = ({"_id": str(i), "_source": _document(i, words)} for i, words in documents)
        total = sum(
            1 for _ in streaming_bulk(client, actions, index=name, chunk_size=_BULK, max_retries=5, request_timeout=60)
        )
        client.indices.refresh(index=name, request_timeout=120)
        client.indices.forcemerge(index=name, max_num_segments=1, request_timeout=600)
        meta = {"text_version": TEXT_VERSION, "complete": True, "documents": total}
        client.indices.put_mapping(index=name, body={"_meta": meta})
        client.indices.put_settings(index=name, body={"index": {"blocks.write": True}})
    return total


def _document(vector_id: int, words: Mapping[str, str]) -> dict[str, Any]:
    counted = words.get(FACETS, "").splitlines()
    return {ID: vector_id, **{f: w for f in FIELDS if (w := words.get(f))}, **({FACETS: counted} if counted else {})}


def delete_index(client: "OpenSearch", name: str) -> None:
    """No error when it is not there."""
    with told(f"delete the index {name}"):
        client.indices.delete(index=name, ignore_unavailable=True)


def index_names(client: "OpenSearch", pattern: str) -> list[str]:
    """The names of the indexes that fit, sorted."""
    with told("list the indexes"):
        return sorted(client.indices.get(index=pattern, allow_no_indices=True, ignore_unavailable=True))


def _definition(shards: int, replicas: int) -> dict[str, Any]:
    # fielddata: the words of a field by document, made in memory when completions are first asked for
    words = {"type": "text", "analyzer": "words", "index_options": "freqs", "fielddata": True}
    # Lucene's whitespace tokenizer cuts words at 255 letters; 8,000 letters of four bytes stay below its longest term
    analysis = {
        "tokenizer": {"words": {"type": "whitespace", "max_token_length": 8_000}},
        "analyzer": {"words": {"type": "custom", "tokenizer": "words"}},
    }
    return {
        "settings": {
            "number_of_shards": shards,
            "number_of_replicas": replicas,
            "refresh_interval": "-1",
            "analysis": analysis,
        },
        "mappings": {
            "dynamic": "strict",
            "_meta": {"text_version": TEXT_VERSION, "complete": False},
            "_source": {"includes": list(WORD_FIELDS)},  # for highlights; the rest can be made again from the records
            "properties": {
                ID: {"type": "long"},
                FACETS: {"type": "keyword", "ignore_above": 8_000},
                **dict.fromkeys(FIELDS, words),
            },
        },
    }


def index_meta(client: "OpenSearch", name: str) -> dict[str, Any] | None:
    from opensearchpy.exceptions import NotFoundError

    try:
        return client.indices.get_mapping(index=name)[name]["mappings"].get("_meta", {})
    except NotFoundError:
        return None


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
        outside = allowed is not None and len(allowed) > _FILTER_UP_TO
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


def in_pieces(allowed: np.ndarray | None) -> list[np.ndarray] | list[None]:
    """Allowed ids in as many filters as the server wants them; `[None]` for all."""
    if allowed is None:
        return [None]
    return [allowed[start : start + _FILTER_UP_TO] for start in range(0, len(allowed), _FILTER_UP_TO)]


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


def whole(answer: Mapping[str, Any]) -> None:
    """An answer of only some shards is no answer: it would rank the rest as if they had nothing."""
    if "error" in answer or answer["_shards"]["failed"]:
        raise StoreError("OpenSearch answered for only a part of the index.", cure="Look at the cluster's health.")


@contextmanager
def told(what: str) -> Iterator[None]:
    from opensearchpy.exceptions import OpenSearchException

    try:
        yield
    except OpenSearchException as error:
        raise StoreError(f"OpenSearch could not {what}: {error}.", cure="Is the server up?") from error
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise StoreError(
            f"OpenSearch gave an answer that is none: {error!r}.", cure="Is it OpenSearch that answers?"
        ) from error
