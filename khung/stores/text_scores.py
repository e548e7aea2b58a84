"""What each word gives each document, as columns: BM25 summed in a loop, without an object a hit (docs/decisions/0084).

The scores are tantivy's own, asked of it once a word and kept; a question whose words are not all kept yet is tantivy's. For a process
that answers many questions; which of the two is asked text_tantivy.py says.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from khung.stores import TextClause
from khung.stores.idsets import ByFilter, is_in
from khung.stores.loops import compiled
from khung.stores.ordering import best_first
from khung.stores.tantivy_parts import ID
from khung.stores.text_clauses import rounded

_ROOM = 64_000_000  # scores that are kept at most: 512 MiB
_EACH = 128  # a document, of smaller libraries: a caption of thirty words has about a hundred in all fields
_PAGE = 8_192  # hits that one question fetches: some four milliseconds, in one of which every other thread waits for Python to make objects
_PAGES = 16  # in which a word is fetched at most: each looks through all of its documents again
_DEEP = 1_000  # hits for which a sum takes half of tantivy's time or less, even of rare words; as with a filter
_FREQUENT = 8  # documents with a word that is kept: rarer ones, mostly pairs of words, are seldom asked for twice
_NAMED = 64  # scores whose room a word's name and place take
_EVERYTHING = np.zeros(0, np.uint8)
_NOTHING = np.zeros(0, np.int32), np.zeros(0, np.float32)


@dataclass(slots=True)
class _Word:
    """Where the scores of a word lie, how many there are, and how many are there already."""

    first: int
    size: int
    kept: int = 0


class WordScores:
    """Thread-safe: scores are only added, and a word is asked for by others once it is whole. Made in a tenth of a second for 100,000
    documents."""

    def __init__(self, searcher: Any, schema: Any) -> None:
        self._searcher, self._schema = searcher, schema
        self._ids, self._firsts, self._places = _documents(searcher)
        room = min(_EACH * len(self._ids), _ROOM)
        self._documents, self._scores, self._used = np.empty(room, np.int32), np.empty(room, np.float32), 0
        self._words: dict[tuple[str, str], _Word] = {}
        self._whole: dict[tuple[str, str], tuple[int, int]] = {}
        self._learning = threading.Lock()
        self._filters: ByFilter[np.ndarray] = ByFilter()
        compiled(_summed)(self._documents, self._scores, *_spans([]), *_NOTHING, _EVERYTHING, len(self._ids), 1)

    def best(
        self, clauses: Sequence[TextClause], counts: Sequence[int], limit: int, allowed: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """`(scores, ids)` as TextIndex says; None where tantivy had better be asked: while a frequent word is not kept, for which each
        question does its part, and for a plain question of rare words. `counts`: in how many documents each clause's term stands."""
        there = [(clause, count) for clause, count in zip(clauses, counts, strict=True) if count]
        rare = [clause for clause, count in there if count < _FREQUENT]
        frequent = {(c.field, c.term): count for c, count in there if count >= _FREQUENT}
        if not (frequent or limit >= _DEEP or allowed is not None):
            return None
        if not self._are_kept(frequent):
            self._learn(frequent)
            if not self._are_kept(frequent):
                return None
        spans = [(*self._whole[c.field, c.term], c.boost) for c, count in there if count >= _FREQUENT]
        words = self._documents, self._scores, *_spans(spans), *self._asked(rare)
        passing = _EVERYTHING if allowed is None else self._filters.known(allowed, lambda: self._marks(allowed))
        sums, documents = compiled(_summed)(*words, passing, len(self._ids), limit)
        scores, documents = best_first(rounded(sums).astype(np.float32), documents, limit)
        return scores, self._ids[documents]

    def holding(
        self, clauses: Sequence[TextClause], counts: Sequence[int], vector_ids: np.ndarray
    ) -> list[np.ndarray] | None:
        """As TextIndex says; None while a frequent word is not kept."""
        if not self._are_kept((c.field, c.term) for c, n in zip(clauses, counts, strict=True) if n >= _FREQUENT):
            return None
        documents = np.searchsorted(self._ids, vector_ids).astype(np.int32)
        documents[~is_in(vector_ids, self._ids)] = -1
        return [is_in(documents, self._with(c, n)) for c, n in zip(clauses, counts, strict=True)]

    def _with(self, clause: TextClause, count: int) -> np.ndarray:
        """The documents with a word, ascending."""
        if count >= _FREQUENT:
            return self._documents[slice(*self._whole[clause.field, clause.term])]
        return np.sort(self._asked([clause] if count else [])[0])

    def _are_kept(self, names: Iterable[tuple[str, str]]) -> bool:
        return all(name in self._whole for name in names)

    def _asked(self, rare: Sequence[TextClause]) -> tuple[np.ndarray, np.ndarray]:
        """Of words that few documents have, what tantivy gives those documents."""
        if not rare:
            return _NOTHING
        return self._columns(self._searcher.search(union(self._schema, rare), _FREQUENT * len(rare), count=False).hits)

    def _learn(self, counts: Mapping[tuple[str, str], int]) -> None:
        """Fetch some of what is lacking, rarer words first. While another question is at it nobody waits."""
        if not self._learning.acquire(blocking=False):
            return
        try:
            left = _PAGE
            for name in sorted(counts, key=counts.__getitem__):
                if left > 0 and name not in self._whole:
                    left -= self._fetch(name, counts[name], left)
        finally:
            self._learning.release()

    def _fetch(self, name: tuple[str, str], count: int, most: int) -> int:
        """Up to `most` more of the scores of a word that `count` documents have; how many it were."""
        word = self._words.get(name)
        if word is None:
            taken = self._used + _NAMED * len(self._words)
            if taken + count > len(self._scores):
                return 0
            word = self._words[name] = _Word(self._used, count)
            self._used += count
        query, most = union(self._schema, [TextClause(*name)]), max(most, word.size // _PAGES)
        hits = self._searcher.search(query, min(most, word.size - word.kept), count=False, offset=word.kept).hits
        here = slice(word.first + word.kept, word.first + word.kept + len(hits))
        self._documents[here], self._scores[here] = self._columns(hits)
        word.kept += len(hits)
        if word.kept == word.size:
            whole = slice(word.first, word.first + word.size)
            by_document = np.argsort(self._documents[whole])  # they came by score: a sum would jump to and fro
            for column in (self._documents, self._scores):
                column[whole] = column[whole][by_document]
            self._whole[name] = (word.first, word.first + word.size)
        return len(hits)

    def _columns(self, hits: Sequence[tuple[float, Any]]) -> tuple[np.ndarray, np.ndarray]:
        """Documents int32 and scores float32."""
        scores = np.array([score for score, _ in hits], np.float32)
        numbers = np.array([address.doc for _, address in hits], np.int64)
        if len(self._firsts) > 1:
            numbers += self._firsts[[address.segment_ord for _, address in hits]]
        return self._places[numbers], scores

    def _marks(self, allowed: np.ndarray) -> np.ndarray:
        """uint8 by document."""
        marks = np.zeros(len(self._ids), np.uint8)
        marks[np.searchsorted(self._ids, allowed[is_in(allowed, self._ids)])] = 1
        return marks


def union(schema: Any, clauses: Sequence[TextClause]) -> Any:
    """The clauses joined by OR, as a query."""
    from tantivy import Occur, Query

    terms = [(Query.term_query(schema, c.field, c.term, "freq"), c.boost) for c in clauses]
    return Query.boolean_query([(Occur.Should, Query.boost_query(term, boost)) for term, boost in terms])


def _documents(searcher: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All ids, ascending; at which number each segment begins when its documents are numbered one after another; and by number the
    document's place among the ids, so that ties are broken by id."""
    from tantivy import Query

    ids, segments = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for start in range(0, searcher.num_docs, _PAGE):  # one segment after another: all scores are equal
        addresses = [
            address for _, address in searcher.search(Query.all_query(), _PAGE, count=False, offset=start).hits
        ]
        ids.append(np.array(searcher.fast_field_values(ID, addresses), np.int64))
        segments.append(np.array([address.segment_ord for address in addresses], np.int64))
    sizes = np.bincount(np.concatenate(segments), minlength=searcher.num_segments)
    by_number = np.concatenate(ids)
    order = np.argsort(by_number)
    places = np.empty(len(order), np.int32)
    places[order] = np.arange(len(order))
    return by_number[order], np.cumsum([0, *sizes[:-1]]), places


def _spans(spans: Sequence[tuple[int, int, float]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    firsts, ends, boosts = zip(*spans, strict=True) if spans else ((), (), ())
    return np.array(firsts, np.int64), np.array(ends, np.int64), np.array(boosts, np.float32)


_BUCKETS = 1_024


def _summed(documents, scores, firsts, ends, boosts, more, given, passing, size, limit):
    """Sums by document, and the documents, of at least the `limit` best and of what might equal them once rounded; `passing` is empty
    where all documents do. A histogram tells which may be among the best; the bucket below the last that is needed is kept, too, for
    rounding moves a sum by far less than a bucket. Plain loops: what NumPy would say in a line takes the compiler seconds."""
    most = len(more)
    for word in range(len(firsts)):
        most += ends[word] - firsts[word]
    sums, touched, n = np.zeros(size, np.float32), np.empty(most, np.int32), 0
    for at in range(len(more)):
        if len(passing) and not passing[more[at]]:
            continue
        touched[n] = more[at]
        n += 1
        sums[more[at]] = given[at]
    for word in range(len(firsts)):
        for at in range(firsts[word], ends[word]):
            document = documents[at]
            if len(passing) and not passing[document]:
                continue
            touched[n] = document
            n += sums[document] == 0  # without a branch, which would be foreseen as often as not
            sums[document] += boosts[word] * scores[at]
    found, best = np.empty(n, np.float32), np.float32(0)
    for i in range(n):
        found[i] = sums[touched[i]]
        best = max(best, found[i])
    if n <= limit:
        return found, touched[:n]
    scale, counts = np.float32(_BUCKETS) / best, np.zeros(_BUCKETS + 2, np.int64)
    for i in range(n):
        counts[int(found[i] * scale)] += 1
    bucket, above = _BUCKETS + 1, 0
    while above < limit:
        bucket -= 1
        above += counts[bucket]
    m = 0
    for i in range(n):
        found[m], touched[m] = found[i], touched[i]
        m += int(found[i] * scale) >= bucket - 1
    return found[:m], touched[:m]
