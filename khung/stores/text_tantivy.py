"""BM25 in tantivy: sealed indexes of pre-tokenised fields, many parts searched as one.

The whitespace analyser and nothing else stands in the engine; words come from khung.text.fields. A part counts documents for
itself, so each clause's boost is put right to the counts of the whole. Average field lengths stay those of the part.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log
from pathlib import Path
from typing import Any

import numpy as np

from khung.errors import CorruptError, StoreError
from khung.stores import TextClause, TextHit
from khung.stores.idsets import is_in
from khung.text.fields import FIELDS

ID = "vector_id"
_MAX_HEAP, _MIN_HEAP = 2_000_000_000, 20_000_000
_SET_UP_TO = 2_000  # allowed ids that are cheaper as a term set than as a filter on the hits


def _schema() -> Any:
    import tantivy

    builder = tantivy.SchemaBuilder()
    builder.add_integer_field(ID, stored=True, indexed=True, fast=True)
    for name in FIELDS:
        builder.add_text_field(name, stored=True, tokenizer_name="whitespace", index_option="freq")
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
    return document


def idf(documents: int, with_term: int) -> float:
    """Robertson and Sparck Jones's weight as Lucene and tantivy compute it: never negative."""
    return log(1 + (documents - with_term + 0.5) / (with_term + 0.5))


class _Part:
    def __init__(self, folder: Path, number: int) -> None:
        import tantivy

        self.number = number
        try:
            index = tantivy.Index.open(str(folder))
            index.config_reader("manual")  # sealed: nothing to watch for
            self.schema = index.schema
            self.searcher = index.searcher()
        except (ValueError, OSError) as error:
            raise CorruptError(f"The text index in {folder} cannot be opened: {error}") from error

    def count(self, clause: TextClause) -> int:
        return self.searcher.doc_freq(clause.field, clause.term)

    def query(self, clauses: Sequence[TextClause], counts: Sequence[int], documents: int) -> Any | None:
        """The clauses joined by OR, each weighted as if this part knew the whole."""
        from tantivy import Occur, Query

        parts = []
        for clause, count in zip(clauses, counts, strict=True):
            if here := self.count(clause):
                boost = clause.boost * idf(documents, count) / idf(self.searcher.num_docs, here)
                term = Query.term_query(self.schema, clause.field, clause.term, "freq")
                parts.append((Occur.Should, Query.boost_query(term, boost)))
        return Query.boolean_query(parts) if parts else None

    def search(self, query: Any, limit: int, allowed: np.ndarray | None) -> "_Hits":
        from tantivy import Occur, Query

        if allowed is None:
            return self.hits(query, limit)
        if len(allowed) <= _SET_UP_TO:
            members = Query.const_score_query(Query.term_set_query(self.schema, ID, allowed.tolist()), 0.0)
            return self.hits(Query.boolean_query([(Occur.Must, query), (Occur.Must, members)]), limit)
        return self._filtered(query, limit, allowed)

    def hits(self, query: Any, limit: int) -> "_Hits":
        found = self.searcher.search(query, limit, count=False).hits
        addresses = [address for _, address in found]
        ids = np.array(self.searcher.fast_field_values(ID, addresses), np.int64)
        scores = rounded(np.array([score for score, _ in found]))
        return _Hits(scores, ids, addresses, np.full(len(ids), self.number))

    def _filtered(self, query: Any, limit: int, allowed: np.ndarray) -> "_Hits":
        """Deepen until `limit` allowed hits are found or there are no more: as exact as a filter inside, and cheaper for many ids."""
        depth = 4 * limit
        while True:
            hits = self.hits(query, depth)
            kept = np.flatnonzero(is_in(hits.ids, allowed))
            if len(kept) >= limit or len(hits.ids) < depth:
                return hits.take(kept[:limit])
            depth *= 4

    def terms(self, address: Any, clauses: Sequence[TextClause]) -> tuple[str, ...]:
        document = self.searcher.doc(address)
        words = {name: set((document.get_first(name) or "").split(" ")) for name in {c.field for c in clauses}}
        return tuple(dict.fromkeys(c.term for c in clauses if c.term in words[c.field]))


@dataclass(frozen=True, slots=True)
class _Hits:
    """Hits as columns: score, id, the address in its part, the part's number."""

    scores: np.ndarray
    ids: np.ndarray
    addresses: list[Any]
    parts: np.ndarray

    def take(self, rows: np.ndarray) -> "_Hits":
        addresses = [self.addresses[row] for row in rows.tolist()]
        return _Hits(self.scores[rows], self.ids[rows], addresses, self.parts[rows])

    @staticmethod
    def best_of(parts: "Sequence[_Hits]", limit: int) -> "_Hits":
        """The best of several, ties by id."""
        scores = np.concatenate([np.zeros(0), *(hits.scores for hits in parts)])
        ids = np.concatenate([np.zeros(0, np.int64), *(hits.ids for hits in parts)])
        addresses = [address for hits in parts for address in hits.addresses]
        together = _Hits(scores, ids, addresses, np.concatenate([np.zeros(0, np.int64), *(h.parts for h in parts)]))
        return together.take(np.lexsort((ids, -scores))[:limit])


class TantivyText:
    """A TextIndex over the parts in `folders`. Thread-safe: nothing changes after opening."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._parts = [_Part(Path(folder), number) for number, folder in enumerate(folders)]

    def __len__(self) -> int:
        return sum(part.searcher.num_docs for part in self._parts)

    def ids(self) -> np.ndarray:
        """Every document's vector id, ascending."""
        from tantivy import Query

        found = [part.hits(Query.all_query(), n) for part in self._parts if (n := part.searcher.num_docs)]
        return np.sort(np.concatenate([np.zeros(0, np.int64), *(hits.ids for hits in found)]))

    def document_counts(self, clauses: Sequence[TextClause]) -> list[int]:
        check_clauses(clauses)
        return [sum(part.count(clause) for part in self._parts) for clause in clauses]

    def search(self, clauses: Sequence[TextClause], *, limit: int, allowed: np.ndarray | None = None) -> list[TextHit]:
        found = self._found(clauses, limit, allowed)
        places = zip(found.parts.tolist(), found.addresses, strict=True)
        told = [self._parts[number].terms(address, clauses) for number, address in places]
        return [TextHit(*hit) for hit in zip(found.ids.tolist(), found.scores.tolist(), told, strict=True)]

    def best(
        self, clauses: Sequence[TextClause], *, limit: int, allowed: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        found = self._found(clauses, limit, allowed)
        return found.scores.astype(np.float32), found.ids

    def _found(self, clauses: Sequence[TextClause], limit: int, allowed: np.ndarray | None) -> _Hits:
        counts, documents = self.document_counts(clauses), len(self)
        asked = [(part, part.query(clauses, counts, documents)) for part in self._parts] if limit > 0 else []
        return _best_of_parts([(part, query) for part, query in asked if query is not None], limit, allowed)


def _best_of_parts(asked: Sequence[tuple[_Part, Any]], limit: int, allowed: np.ndarray | None) -> _Hits:
    """The `limit` best of all parts.

    Frames fall into parts by chance, so a part is first asked for twice its share and some; one whose last hit could still be
    among the best is asked again for all.
    """
    share = min(limit, 2 * limit // max(len(asked), 1) + 32)
    found = [part.search(query, share, allowed) for part, query in asked]
    best = _Hits.best_of(found, limit)
    bar = best.scores[-1] if len(best.ids) == limit > 0 else 0.0
    again = [n for n, hits in enumerate(found) if len(hits.ids) == share < limit and hits.scores[-1] >= bar]
    for n in again:
        found[n] = asked[n][0].search(asked[n][1], limit, allowed)
    return _Hits.best_of(found, limit) if again else best


def rounded(scores: np.ndarray) -> np.ndarray:
    """Five digits: the parts' weights agree to float32's rounding only, and equal documents shall have equal scores."""
    unit = 10.0 ** (np.floor(np.log10(np.maximum(scores, 1e-30))) - 4)
    return np.round(scores / unit) * unit


def check_clauses(clauses: Sequence[TextClause]) -> None:
    for clause in clauses:
        if clause.field not in FIELDS or not clause.boost > 0:
            raise StoreError(f"No text field “{clause.field}”, or a boost that is not positive.")
