"""The channels: each looks for one event in its own way and says what it found and why. Filters act inside each.

Running them side by side, time-outs and failures are `engine.py`; putting them together is `fusion.py`.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce

import numpy as np
from cachetools import LRUCache

from khung.errors import NotFound
from khung.records import FrameRecord, SealedRecord
from khung.search.clauses import Ask, caption_ask, normalised, screen_ask
from khung.search.facets import soft_facets
from khung.search.frames import Frames, vector_ids
from khung.search.fusion import Found
from khung.search.parsed import Event, Facet, Hard
from khung.search.request import SnapshotLike
from khung.search.scan import scan
from khung.search.spaces import Space, side_by_side
from khung.stores import FrameFilter, TextClause
from khung.text import fold, marked, tokens

CHANNELS = ("vector", "text", "screen_text", "facets")
STAND_INS = "vector_fallback"
"""A job beside `vector`: the spaces of models that stood in for the embedder. Its answer becomes part of the channel `vector`."""
_REMEMBERED = 64  # sets of frame ids, each at most 8 bytes a frame
_MENTIONED = 0.7  # of the expected text score: then a caption speaks of what must not be there
_MOST_MENTIONS = 2000


@dataclass(frozen=True, slots=True)
class Question:
    """One event as the channels see it."""

    event: Event
    language: str
    depth: int
    allowed: np.ndarray | None = None  # ascending int64 ids, None for all
    image: np.ndarray | None = None
    like: str = ""
    more: tuple[str, ...] = ()
    less: tuple[str, ...] = ()

    @property
    def has_direction(self) -> bool:
        return bool(self.event.text or self.image is not None or self.like or self.more)


class Channels:
    """The channels over one snapshot. Thread-safe."""

    def __init__(self, snapshot: SnapshotLike, frames: Frames, spaces: Sequence[Space]) -> None:
        self.snapshot, self.frames, self.spaces = snapshot, frames, spaces
        self._lock = threading.Lock()
        self._sets: LRUCache[tuple[str, tuple[str, ...]], np.ndarray] = LRUCache(_REMEMBERED)
        self._passing: LRUCache[str, np.ndarray] = LRUCache(_REMEMBERED)

    def asked(self, question: Question) -> list[str]:
        """The channels that have something to do with this question, facets last."""
        event = question.event
        words = bool(event.text)
        asked = {
            "vector": question.has_direction,
            "text": words,
            "screen_text": words or bool(event.screen_text),
            "facets": bool(event.facets or event.without),
        }
        return [name for name, wanted in asked.items() if wanted]

    def passed(self, hard: Hard) -> np.ndarray | None:
        """What `passing` gave, if it is remembered: searchers keep their filters."""
        with self._lock:
            return self._passing.get(repr(hard))

    def passing(self, hard: Hard) -> np.ndarray:
        """Ascending ids of the frames that pass every condition."""
        found = self._pass(hard)
        with self._lock:
            self._passing[repr(hard)] = found
        return found

    def _pass(self, hard: Hard) -> np.ndarray:
        sets = [np.sort(self.snapshot.records.allowed(hard.where))] if hard.where else []
        if hard.last_ms is not None:
            sets.append(self.frames.of_last(hard.last_ms))
        sets += [self._showing(words) for words in hard.must_show]
        return reduce(lambda a, b: np.intersect1d(a, b, assume_unique=True), sets)

    def _showing(self, words: str) -> np.ndarray:
        """Frames whose on-screen text holds all of the words, marks aside."""
        index = self.snapshot.text
        clauses = [TextClause("ocr_fold", fold(word)) for word in tokens(words)] or [TextClause("ocr_fold", "-")]
        counts = index.document_counts(clauses)
        each = [np.sort(index.best([c], limit=n)[1]) for c, n in zip(clauses, counts, strict=True)]
        return reduce(lambda a, b: np.intersect1d(a, b, assume_unique=True), each)

    def vector(self, question: Question) -> Found:
        """Nearest frames to the words, the picture, the frame, or all of them. Raises NotFound of a frame id, ModelError,
        VectorSpaceMismatch."""
        named = tuple(filter(None, (question.like, *question.more, *question.less)))
        if unknown := [f for f, known in zip(named, self.frames.known(vector_ids(named)), strict=True) if not known]:
            lost = unknown[0][:140]
            raise NotFound(f"There is no frame {lost} in this snapshot.").known_as("no_frame", frame=lost)
        return self.spaces[0].look(question)

    def vector_fallback(self, question: Question) -> Found:
        """The same in the spaces of models that stood in for the embedder."""
        return side_by_side([space.look(question) for space in self.spaces[1:]])

    def text(self, question: Question) -> Found:
        """BM25 over the captions of both languages."""
        return self._ask(caption_ask(question.event.text, question.language), question)

    def screen_text(self, question: Question) -> Found:
        """BM25 over what stands on the screen: the quoted words, or else all words."""
        quoted = question.event.screen_text
        return self._ask(screen_ask(quoted or (question.event.text,), misread=bool(quoted)), question)

    def _ask(self, ask: Ask, question: Question) -> Found:
        expected = ask.expected(self.snapshot.text)
        if not expected:
            return Found.nothing()
        raw, ids = self.snapshot.text.best(ask.clauses, limit=question.depth, allowed=question.allowed)
        return Found(ids, raw, normalised(raw, expected), partial(ask.why, self.snapshot.text))

    # Facets: sets of frames, looked up side by side with the other channels, then asked about the frames those found.

    def facets(self, question: Question) -> "FacetSets":
        """For each condition of the event the frames that hold it."""
        event = question.event
        sets = [(facet, self._holding(facet)) for facet in event.facets]
        sets = [(facet, held) for facet, held in sets if len(held)]  # what no frame has tells no frame from another
        for words in event.without:
            if not soft_facets(scan(words), bare=not marked(words))[0]:  # else its facets tell
                sets.append((Facet("mention", (words,), negative=True), self._mentioning(words, question.language)))
        return FacetSets(tuple(sets))

    def _holding(self, facet: Facet) -> np.ndarray:
        name = (facet.field, facet.values)
        with self._lock:
            known = self._sets.get(name)
        if known is None:
            known = self._look_up(facet)
            with self._lock:
                self._sets[name] = known
        return known

    def _look_up(self, facet: Facet) -> np.ndarray:
        if facet.field == "position":
            return self.frames.of_part(facet.values[0])
        if facet.field != "objects":
            return np.sort(self.snapshot.records.allowed(FrameFilter(facets={facet.field: facet.values})))
        each = [self.snapshot.records.allowed(FrameFilter(objects=(value,))) for value in facet.values]
        return np.unique(np.concatenate(each))

    def _mentioning(self, words: str, language: str) -> np.ndarray:
        ask = caption_ask(words, language)
        expected = ask.expected(self.snapshot.text)
        scores, ids = self.snapshot.text.best(ask.clauses, limit=_MOST_MENTIONS)
        return np.sort(ids[scores >= _MENTIONED * expected])


@dataclass(frozen=True, slots=True)
class FacetSets:
    """Soft conditions with the frames that hold them (ascending ids)."""

    sets: tuple[tuple[Facet, np.ndarray], ...]

    def judge(self, ids: np.ndarray, records: Mapping[int, FrameRecord] | None = None) -> Found:
        """The share of the conditions that each frame meets. Counts are only judged for frames whose record is given."""
        if not self.sets:
            return Found.nothing()
        met = np.stack([_holds(held, ids) != facet.negative for facet, held in self.sets])
        for row, (facet, _) in enumerate(self.sets):
            for column in _counted(facet, ids, records):
                met[row, column] = met[row, column] and _count_fits(facet, records[int(ids[column])])
        share = met.mean(axis=0, dtype=np.float32)
        order, labels = np.argsort(ids), [_label(facet) for facet, _ in self.sets]

        def why(of: np.ndarray, _: Sequence[SealedRecord]) -> list[str]:
            kept = met[:, order[np.searchsorted(ids, of, sorter=order)]].T.tolist()
            return [", ".join(label for label, ok in zip(labels, row, strict=True) if ok) for row in kept]

        return Found(ids, share, share, why)

    @property
    def counts(self) -> bool:
        """Is a number of objects among the conditions?"""
        return any(facet.count for facet, _ in self.sets)


def _holds(held: np.ndarray, ids: np.ndarray) -> np.ndarray:
    if not len(held):
        return np.zeros(len(ids), bool)
    return held[np.minimum(np.searchsorted(held, ids), len(held) - 1)] == ids


def _counted(facet: Facet, ids: np.ndarray, records: Mapping[int, FrameRecord] | None) -> list[int]:
    return [n for n, i in enumerate(ids) if int(i) in records] if facet.count and records else []


def _count_fits(facet: Facet, record: FrameRecord) -> bool:
    low, high = facet.count or (0, None)
    seen = sum(region.label in facet.values for region in record.description.objects)
    return low <= seen and (high is None or seen <= high)


def _label(facet: Facet) -> str:
    return ("no " if facet.negative else "") + "/".join(facet.values)
