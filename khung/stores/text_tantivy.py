"""BM25 in tantivy over sealed parts of pre-tokenised fields, many parts asked as one index.

The whitespace analyser and nothing else stands in the engine; words come from khung.text.fields. How parts are written, opened and
gathered is tantivy_parts.py, sums over scores that are kept text_scores.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from khung.stores import TextClause, TextHit
from khung.stores.idsets import is_in
from khung.stores.tantivy_parts import ID, gathered, opened, write_part
from khung.stores.text_clauses import by_facet, check_clauses, check_field, most_frequent, one_of, rounded
from khung.stores.text_scores import WordScores, union
from khung.text.fields import FACETS, WORD_FIELDS

__all__ = ["TantivyText", "write_part"]

_COUNTS = 50_000  # of documents with a word that are remembered
_TIES = (2, 8)  # times the limit: how far equal scores are gathered to be put in order
_LOOK_ON = 16  # hits beyond the limit that show whether equal scores are cut, where tantivy cuts them by id itself
_SET_UP_TO = 2_000  # allowed ids that are cheaper as a term set than as a filter on the hits


@dataclass(frozen=True, slots=True)
class _Hits:
    """Hits as columns: score, the engine's own unrounded one, id, and the place of the document's address in `addresses`, which mean
    something to the searcher that gave them."""

    scores: np.ndarray
    raw: np.ndarray
    ids: np.ndarray
    places: np.ndarray
    addresses: list[Any]
    searcher: Any = None

    def take(self, rows: np.ndarray | slice) -> "_Hits":
        columns = (self.scores[rows], self.raw[rows], self.ids[rows], self.places[rows])
        return _Hits(*columns, self.addresses, self.searcher)


_NOTHING = _Hits(np.zeros(0), np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64), [])


class TantivyText:
    """A TextIndex over the parts in `folders`. Thread-safe: documents never change, and `warm` only changes where they are read."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = [Path(folder) for folder in folders]
        self._read(opened(self._folders))

    def warm(self) -> None:
        """Ask one segment in place of each part's own: a third of the time, and equal scores are cut by id. In one segment keep what each
        word that is asked for gives: a third again."""
        if self._searcher.num_segments > 1 and (index := gathered(self._folders)) is not None:
            self._read(index)
        if self._scores is None:
            self._scores = WordScores(self._searcher, self._schema)

    def _read(self, index: Any) -> None:
        self._schema, self._searcher = index.schema, index.searcher()
        self._count = lru_cache(_COUNTS)(self._searcher.doc_freq)  # searchers repeat their words
        self._scores: WordScores | None = None

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
        told = [_terms(found.searcher.doc(found.addresses[place]), clauses) for place in found.places.tolist()]
        return [TextHit(*hit) for hit in zip(found.ids.tolist(), found.scores.tolist(), told, strict=True)]

    def best(
        self, clauses: Sequence[TextClause], *, limit: int, allowed: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        kept = self._scores
        if kept and limit > 0 and (summed := kept.best(clauses, self.document_counts(clauses), limit, allowed)):
            return summed
        found = self._found(clauses, limit, allowed)
        return found.scores.astype(np.float32), found.ids

    def holding(self, clauses: Sequence[TextClause], vector_ids: np.ndarray) -> list[np.ndarray] | None:
        kept, counts = self._scores, self.document_counts(clauses)
        return kept.holding(clauses, counts, vector_ids) if kept else None

    def facets(self, clauses: Sequence[TextClause], *, allowed: np.ndarray | None = None) -> dict[str, dict[str, int]]:
        from tantivy import Occur, Query

        check_clauses(clauses)
        if allowed is not None and not len(allowed):
            return {}
        found = union(self._schema, clauses) if clauses else Query.all_query()
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
        hits = _asked(self._searcher, Query.term_set_query(self._schema, ID, ids), len(ids))
        found = {i: hits.addresses[place] for i, place in zip(hits.ids.tolist(), hits.places.tolist(), strict=True)}
        asked = {name: {c.term for c in clauses if c.field == name} for name in WORD_FIELDS}
        addresses = [one_of(found, i) for i in ids]
        return [_places(hits.searcher.doc(address), asked) for address in addresses]

    def suggest(self, field: str, prefix: str, *, limit: int) -> list[tuple[str, int]]:
        check_field(field)
        return most_frequent(dict(self._searcher.terms_with_prefix(field, prefix)))[: max(limit, 0)]

    def _found(self, clauses: Sequence[TextClause], limit: int, allowed: np.ndarray | None) -> _Hits:
        from tantivy import Occur, Query

        check_clauses(clauses)
        if limit < 1 or not clauses or not len(self):
            return _NOTHING
        query = union(self._schema, clauses)
        if allowed is None:
            return self._hits(query, limit)
        if len(allowed) <= _SET_UP_TO:
            members = Query.const_score_query(Query.term_set_query(self._schema, ID, allowed.tolist()), 0.0)
            return self._hits(Query.boolean_query([(Occur.Must, query), (Occur.Must, members)]), limit)
        return self._filtered(query, limit, allowed)

    def _hits(self, query: Any, limit: int) -> _Hits:
        """The best `limit`, ties by id.

        tantivy cuts equal scores by segment, so that one shard's frames would fill the list: more is asked for until the
        scores at the cut differ, or so many are equal that none of them says much. In one segment documents lie by id, and so
        does it cut them, if they are equal to the last bit.
        """
        searcher = self._searcher
        whole = searcher.num_segments == 1
        for depth in ([limit + _LOOK_ON] if whole else []) + [times * limit for times in _TIES]:
            depth = min(depth, len(self))
            hits = _asked(searcher, query, depth)
            if len(hits.ids) < depth or depth <= limit or hits.scores[limit - 1] > hits.scores[-1]:
                break
            if whole and np.ptp(hits.raw[hits.scores == hits.scores[limit - 1]]) == 0:
                break
        return hits.take(slice(limit))

    def _filtered(self, query: Any, limit: int, allowed: np.ndarray) -> _Hits:
        """Deepen until `limit` allowed hits are found or there are no more: as exact as a filter inside, and cheaper for many ids."""
        depth = min(limit * max(2, round(1.5 * len(self) / len(allowed))), len(self))
        while True:
            hits = self._hits(query, depth)
            kept = np.flatnonzero(is_in(hits.ids, allowed))
            if len(kept) >= limit or len(hits.ids) < depth or depth == len(self):
                return hits.take(kept[:limit])
            depth = min(4 * depth, len(self))


def _asked(searcher: Any, query: Any, depth: int) -> _Hits:
    found = searcher.search(query, depth, count=False).hits
    if not found:
        return _NOTHING
    raw, addresses = map(list, zip(*found, strict=True))
    raw = np.array(raw)
    scores = rounded(raw)
    ids = np.array(searcher.fast_field_values(ID, addresses), np.int64)
    order = np.lexsort((ids, -scores))
    return _Hits(scores[order], raw[order], ids[order], order, addresses, searcher)


def _terms(document: Any, clauses: Sequence[TextClause]) -> tuple[str, ...]:
    words = {name: set((document.get_first(name) or "").split(" ")) for name in {c.field for c in clauses}}
    return tuple(dict.fromkeys(c.term for c in clauses if c.term in words[c.field]))


def _places(document: Any, asked: Mapping[str, set[str]]) -> dict[str, tuple[int, ...]]:
    words = {name: (document.get_first(name) or "").split(" ") for name, terms in asked.items() if terms}
    places = {name: tuple(i for i, w in enumerate(of) if w in asked[name]) for name, of in words.items()}
    return {name: at for name, at in places.items() if at}
