"""Indexes in OpenSearch: connecting, writing one whole or not at all, deleting, and what its answers and errors mean.

The whitespace analyser and nothing else stands in the engine. Asking for words is text_opensearch.py, for vectors
vectors_opensearch.py.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from khung.errors import StoreError
from khung.text.fields import FACETS, FIELDS, TEXT_VERSION, WORD_FIELDS

if TYPE_CHECKING:
    from opensearchpy import OpenSearch

ID = "vector_id"
FILTER_UP_TO = 20_000  # allowed ids that are cheaper as a filter than as a look at the hits; the server takes 65,536
_BULK = 1_000


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


def in_pieces(allowed: np.ndarray | None) -> list[np.ndarray] | list[None]:
    """Allowed ids in as many filters as the server wants them; `[None]` for all."""
    if allowed is None:
        return [None]
    return [allowed[start : start + FILTER_UP_TO] for start in range(0, len(allowed), FILTER_UP_TO)]


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
        said = "OpenSearch does not answer as it should."
        raise StoreError(f"OpenSearch could not {what}: {error}.", cure="Is the server up?", said=said) from error
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise StoreError(
            f"OpenSearch gave an answer that is none: {error!r}.", cure="Is it OpenSearch that answers?"
        ) from error
