"""BM25 in tantivy: sealed indexes of pre-tokenised fields, many parts opened as the segments of one index.

The whitespace analyser and nothing else stands in the engine; words come from khung.text.fields. Parts are not merged: their
segment files are linked side by side under one `meta.json`, so that one query counts and ranks over the whole.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from khung.errors import CorruptError, NotFound, StoreError
from khung.stores import TextClause, TextHit
from khung.stores.idsets import is_in
from khung.stores.scratch import scratch_folder
from khung.text.fields import FACETS, FIELDS, WORD_FIELDS

ID = "vector_id"
_META = "meta.json"
_MAX_HEAP, _MIN_HEAP = 2_000_000_000, 20_000_000
_COUNTS = 50_000  # of documents with a word that are remembered
_TIES = (2, 8)  # times the limit: how far equal scores are gathered to be put in order
_SET_UP_TO = 2_000  # allowed ids that are cheaper as a term set than as a filter on the hits


def _schema() -> Any:
    import tantivy

    builder = tantivy.SchemaBuilder()
    builder.add_integer_field(ID, stored=True, indexed=True, fast=True)
    for name in FIELDS:
        builder.add_text_field(name, stored=True, tokenizer_name="whitespace", index_option="freq")
    builder.add_text_field(FACETS, tokenizer_name="raw", index_option="basic")
    return builder.build()


def write_part(folder: Path, documents: Iterable[tuple[int, Mapping[str, str]]]) -> int:
    """Write one part into an empty folder from `(vector id, field → words)`; returns the number of documents.

    Documents are laid down by id in one segment, so that equal scores come out by id.
    """
    import tantivy

    rows = sorted(documents)
    size = sum(len(words) for _, fields in rows for words in fields.values())
    try:
        index = tantivy.Index(_schema(), path=str(folder))
        writer = index.writer(max(_MIN_HEAP, min(_MAX_HEAP, 20 * size)), num_threads=1)
        for vector_id, fields in rows:
            writer.add_document(_document(vector_id, fields))
        writer.commit()
        writer.wait_merging_threads()
    except (ValueError, OSError) as error:  # tantivy tells a refused write by either
        raise StoreError(
            f"The text index in {folder} could not be written: {error}", cure="Is the disk full?"
        ) from error
    return len(rows)


def _document(vector_id: int, fields: Mapping[str, str]) -> Any:
    import tantivy

    document = tantivy.Document()
    document.add_integer(ID, vector_id)
    for name in FIELDS:
        if words := fields.get(name):
            document.add_text(name, words)
    for value in fields.get(FACETS, "").splitlines():
        document.add_text(FACETS, value)
    return document


def _opened(folders: Sequence[Path]) -> Any:
    """One tantivy index with every part's segments. Its folder of links is gone when this returns: the files are mapped by then."""
    import tantivy

    if not folders:
        return tantivy.Index(_schema())
    with scratch_folder("text") as together:
        metas = [_linked(folder, together) for folder in folders]
        if any(meta["schema"] != metas[0]["schema"] for meta in metas):
            raise CorruptError("The text indexes have different fields.", cure="Seal all shards again.")
        segments = [segment for meta in metas for segment in meta["segments"]]
        (together / _META).write_text(json.dumps(metas[0] | {"segments": segments}))
        try:
            index = tantivy.Index.open(str(together))
            index.config_reader("manual")  # sealed: nothing to watch for
            index.searcher()
        except (ValueError, OSError) as error:
            where = folders[0] if len(folders) == 1 else f"{folders[0].parent.parent} and its sisters"
            raise CorruptError(f"The text index in {where} cannot be opened: {error}") from error
    return index


def _linked(folder: Path, together: Path) -> dict[str, Any]:
    """Link a part's segment files into `together`; its meta."""
    try:
        meta = json.loads((folder / _META).read_bytes())
        names = [segment["segment_id"].replace("-", "") for segment in meta["segments"]]
        if not isinstance(meta["schema"], list):
            raise ValueError("its schema is no list")
        for path in folder.resolve().iterdir():
            if path.name.split(".")[0] in names:
                (together / path.name).symlink_to(path)
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise CorruptError(f"The text index in {folder} cannot be opened: {error}") from error
    return meta


@dataclass(frozen=True, slots=True)
class _Hits:
    """Hits as columns: score, id, and the place of the document's address in `addresses`."""

    scores: np.ndarray
    ids: np.ndarray
    places: np.ndarray
    addresses: list[Any]

    def take(self, rows: np.ndarray | slice) -> "_Hits":
        return _Hits(self.scores[rows], self.ids[rows], self.places[rows], self.addresses)


_NOTHING = _Hits(np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64), [])


class TantivyText:
    """A TextIndex over the parts in `folders`. Thread-safe: nothing changes after opening."""

    def __init__(self, folders: Sequence[Path]) -> None:
        index = _opened([Path(folder) for folder in folders])
        self._schema, self._searcher = index.schema, index.searcher()
        self._count = lru_cache(_COUNTS)(
            self._searcher.doc_freq
        )  # each part is asked, and searchers repeat their words

    def __len__(self) -> int:
        return self._searcher.num_docs

    def ids(self) -> np.ndarray:
        """Every document's vector id, ascending."""
        from tantivy import Query

        return np.sort(self._hits(Query.all_query(), len(self)).ids) if len(self) else _NOTHING.ids

    def document_counts(self, clauses: Sequence[TextClause]) -> list[int]:
        check_clauses(clauses)
        return [self._count(clause.field, clause.term) for clause in clauses]

    def search(self, clauses: Sequence[TextClause], *, limit: int, allowed: np.ndarray | None = None) -> list[TextHit]:
        found = self._found(clauses, limit, allowed)
        told = [self._terms(found.addresses[place], clauses) for place in found.places.tolist()]
        return [TextHit(*hit) for hit in zip(found.ids.tolist(), found.scores.tolist(), told, strict=True)]

    def best(
        self, clauses: Sequence[TextClause], *, limit: int, allowed: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        found = self._found(clauses, limit, allowed)
        return found.scores.astype(np.float32), found.ids

    def facets(self, clauses: Sequence[TextClause], *, allowed: np.ndarray | None = None) -> dict[str, dict[str, int]]:
        from tantivy import Occur, Query

        check_clauses(clauses)
        if allowed is not None and not len(allowed):
            return {}
        found = self._query(clauses) if clauses else Query.all_query()
        if allowed is not None:
            members = Query.term_set_query(self._schema, ID, allowed.tolist())
            found = Query.boolean_query([(Occur.Must, found), (Occur.Must, members)])
        return by_facet(dict(self._searcher.terms_with_prefix(FACETS, "", filter_query=found)))

    def highlight(self, clauses: Sequence[TextClause], vector_ids: Sequence[int]) -> list[dict[str, tuple[int, ...]]]:
        from tantivy import Query

        check_clauses(clauses)
        ids = [int(i) for i in vector_ids]
        if not ids:
            return []
        hits = self._asked(Query.term_set_query(self._schema, ID, ids), len(ids))
        found = {i: hits.addresses[place] for i, place in zip(hits.ids.tolist(), hits.places.tolist(), strict=True)}
        asked = {name: {c.term for c in clauses if c.field == name} for name in WORD_FIELDS}
        return [_places(self._searcher.doc(one_of(found, i)), asked) for i in ids]

    def suggest(self, field: str, prefix: str, *, limit: int) -> list[tuple[str, int]]:
        check_field(field)
        return most_frequent(dict(self._searcher.terms_with_prefix(field, prefix)))[: max(limit, 0)]

    def _found(self, clauses: Sequence[TextClause], limit: int, allowed: np.ndarray | None) -> _Hits:
        from tantivy import Occur, Query

        check_clauses(clauses)
        if limit < 1 or not clauses or not len(self):
            return _NOTHING
        query = self._query(clauses)
        if allowed is None:
            return self._hits(query, limit)
        if len(allowed) <= _SET_UP_TO:
            members = Query.const_score_query(Query.term_set_query(self._schema, ID, allowed.tolist()), 0.0)
            return self._hits(Query.boolean_query([(Occur.Must, query), (Occur.Must, members)]), limit)
        return self._filtered(query, limit, allowed)

    def _query(self, clauses: Sequence[TextClause]) -> Any:
        """The clauses joined by OR."""
        from tantivy import Occur, Query

        terms = [(Query.term_query(self._schema, c.field, c.term, "freq"), c.boost) for c in clauses]
        return Query.boolean_query([(Occur.Should, Query.boost_query(term, boost)) for term, boost in terms])

    def _hits(self, query: Any, limit: int) -> _Hits:
        """The best `limit`, ties by id.

        tantivy cuts equal scores by segment, so that one shard's frames would fill the list: more is asked for until the
        scores at the cut differ, or so many are equal that none of them says much.
        """
        for times in _TIES:
            depth = min(times * limit, len(self))
            hits = self._asked(query, depth)
            if len(hits.ids) < depth or depth <= limit or hits.scores[limit - 1] > hits.scores[-1]:
                break
        return hits.take(slice(limit))

    def _asked(self, query: Any, depth: int) -> _Hits:
        found = self._searcher.search(query, depth, count=False).hits
        if not found:
            return _NOTHING
        raw, addresses = map(list, zip(*found, strict=True))
        scores = rounded(np.array(raw))
        ids = np.array(self._searcher.fast_field_values(ID, addresses), np.int64)
        return _Hits(scores, ids, np.arange(len(ids)), addresses).take(np.lexsort((ids, -scores)))

    def _filtered(self, query: Any, limit: int, allowed: np.ndarray) -> _Hits:
        """Deepen until `limit` allowed hits are found or there are no more: as exact as a filter inside, and cheaper for many ids."""
        depth = min(limit * max(2, round(1.5 * len(self) / len(allowed))), len(self))
        while True:
            hits = self._hits(query, depth)
            kept = np.flatnonzero(is_in(hits.ids, allowed))
            if len(kept) >= limit or len(hits.ids) < depth or depth == len(self):
                return hits.take(kept[:limit])
            depth = min(4 * depth, len(self))

    def _terms(self, address: Any, clauses: Sequence[TextClause]) -> tuple[str, ...]:
        document = self._searcher.doc(address)
        words = {name: set((document.get_first(name) or "").split(" ")) for name in {c.field for c in clauses}}
        return tuple(dict.fromkeys(c.term for c in clauses if c.term in words[c.field]))


def rounded(scores: np.ndarray) -> np.ndarray:
    """Five digits: the parts' weights agree to float32's rounding only, and equal documents shall have equal scores."""
    unit = 10.0 ** (np.floor(np.log10(np.maximum(scores, 1e-30))) - 4)
    return np.round(scores / unit) * unit


def _places(document: Any, asked: Mapping[str, set[str]]) -> dict[str, tuple[int, ...]]:
    words = {name: (document.get_first(name) or "").split(" ") for name, terms in asked.items() if terms}
    places = {name: tuple(i for i, w in enumerate(of) if w in asked[name]) for name, of in words.items()}
    return {name: at for name, at in places.items() if at}


def one_of(found: Mapping[int, Any], vector_id: int) -> Any:
    """Raises NotFound."""
    if vector_id not in found:
        raise NotFound(f"There is no document {vector_id}.")
    return found[vector_id]


def by_facet(counts: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """`name=value` → documents, as name → value → documents."""
    found: dict[str, dict[str, int]] = {}
    for word, count in most_frequent(counts):
        name, _, value = word.partition("=")
        found.setdefault(name, {})[value] = count
    return dict(sorted(found.items()))


def most_frequent(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Ties by word."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def check_field(field: str) -> None:
    if field not in FIELDS:
        raise StoreError(f"No text field “{field[:40]}”.", cure=f"Use one of {', '.join(FIELDS)}.")


def check_clauses(clauses: Sequence[TextClause]) -> None:
    for clause in clauses:
        if clause.field not in FIELDS or not clause.boost > 0:
            raise StoreError(f"No text field “{clause.field}”, or a boost that is not positive.")
