"""The engine: one question over one snapshot. Parse → channels side by side → fuse → chain → collapse → records of the page.

Synchronous, CPU-bound and thread-safe; it never runs in an event loop and keeps no state but what belongs to its snapshot.
What the channels find is `answering.py`, in which order frames stand `ranking.py`, the values `request.py`.
"""

import gc
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from khung.records import Hit, SealedRecord
from khung.search.answering import Answer, Answering
from khung.search.channels import Channels
from khung.search.collapse import collapse
from khung.search.explain import hits_of
from khung.search.filters import joined
from khung.search.frames import Frames
from khung.search.fusion import Found, fuse_ranks
from khung.search.learned import Candidates, LearnedFusion
from khung.search.parsed import Gap, Hard, ParsedQuery
from khung.search.query import parse
from khung.search.questions import DEPTH, Allowed, check_asked, is_plain, questions_of, with_steps
from khung.search.ranking import Ranking, listed, ranked
from khung.search.request import Degraded, Listener, Reranker, SearchRequest, SearchResult, SnapshotLike
from khung.search.running import TIMEOUTS_S, Runner
from khung.search.spaces import EncoderOf, open_spaces
from khung.search.suggest import Suggester, captions_of
from khung.stores.loops import compiling
from khung.vision import Embedder

__all__ = ["Degraded", "Engine", "Reranker", "SearchRequest", "SearchResult"]

RERANKER = "reranker"


class Engine:
    """`embedder` asks the snapshot's own vectors; `encoder_of` finds an encoder for each of its spaces and is the better way.
    Where there is none, words are not turned into vectors, which every answer says in `degraded`. Raises ModelError."""

    def __init__(
        self,
        snapshot: SnapshotLike,
        embedder: Embedder | None = None,
        *,
        encoder_of: EncoderOf | None = None,
        timeouts_s: Mapping[str, float] = TIMEOUTS_S,
        reranker: Reranker | None = None,
        learned: LearnedFusion | None = None,
    ) -> None:
        self.learned, self.snapshot, self.reranker = learned, snapshot, reranker
        self.frames = Frames(snapshot.records)
        spaces = open_spaces(snapshot, encoder_of or (lambda _: embedder))
        self.channels = Channels(snapshot, self.frames, spaces)
        self.runner = Runner(timeouts_s)
        self._answering = Answering(self.channels, self.runner, learned)
        self._suggester: Suggester | None = None

    @property
    def encoders(self) -> dict[str, bool]:
        """Fingerprint of each vector space → is there an encoder that can ask it?"""
        return {space.fingerprint: space.encoder is not None for space in self.channels.spaces}

    @property
    def ranking(self) -> str:
        """What orders hits beyond the fixed combination, for keys of answers: the learned fusion and the second look."""
        second = type(self.reranker).__name__ if self.reranker else ""
        return f"{self.learned.fingerprint if self.learned else ''}+{second}"

    def warm(self, ended: Callable[[], bool] = lambda: False) -> None:
        """Do beforehand what the first questions would wait for: compile what ranks and counts, read captions for
        suggestions, gather the words of all parts; then put what lives as long as the snapshot out of the garbage collector's sight, which otherwise took a
        third of a search. Takes seconds; safe in a thread of its own while searches run. Once `ended`, no further step is begun."""
        steps = [self._compile, self._read_captions, self.snapshot.text.warm]
        for step in (*steps, *(space.vectors.warm for space in self.channels.spaces), _keep_from_collector):
            if ended():
                return
            step()

    def _compile(self) -> None:
        some, sure = self.frames.ids[:1], np.ones(len(self.frames.ids[:1]), np.float32)
        with compiling():
            fused = fuse_ranks({"any": Found(some, sure, sure)})
            ranked([fused, fused], [Gap()], self.frames)
            collapse(ranked([fused], [], self.frames).first, self.frames.timeline, per_video=1, need=1)
            self.snapshot.records.facet_counts_at(np.arange(len(some)))

    def _read_captions(self) -> None:
        self._suggester = Suggester(captions_of(self.snapshot.records, self.frames))

    def did_you_mean(self, text: str) -> str:
        """The text with the marks that it most likely lacks, by the library's captions; "" when there is nothing better."""
        return self._suggester.suggest(text) if self._suggester else ""

    def search(self, request: SearchRequest, listener: Listener | None = None) -> SearchResult:
        """Raises QueryError, NotFound (of a frame id), SearchUnavailable when no channel answers, and what `listener` raises."""
        began = time.perf_counter()
        parsed = self._read(request)
        if listener:
            listener.parsed(parsed)
        allowed = self._allowed(request, parsed)
        questions = questions_of(request, parsed, allowed)

        def result(answers: list[Answer], degraded: list[Degraded]) -> SearchResult:
            ranking = (
                ranked([answer.fused for answer in answers], parsed.gaps, self.frames)
                if answers
                else listed(allowed(Hard()), self.frames)
            )
            return self._result(request, parsed, ranking, answers, degraded, began)

        def heard(channels: Sequence[str], answers: list[Answer]) -> None:
            listener.partial(channels, result(answers, []))

        return result(*self._answering.answers(questions, parsed, request.preset, heard if listener else None))

    def candidates(self, request: SearchRequest) -> Candidates | None:
        """What a learned fusion sees of a question of one step; None for a sequence or for none. Raises as `search` does."""
        parsed = self._read(request)
        questions = questions_of(request, parsed, self._allowed(request, parsed))
        if len(questions) != 1:
            return None
        (answer,), _ = self._answering.answers(questions, parsed, "fixed")
        return self._answering.candidates(parsed, answer, questions[0])

    def _read(self, request: SearchRequest) -> ParsedQuery:
        request.check()
        parsed = with_steps(parse(request.text), request)
        check_asked(request, parsed)
        return parsed

    def _allowed(self, request: SearchRequest, parsed: ParsedQuery) -> Allowed:
        """Which frames a step may find: those that meet what holds for the whole question, and the step's own conditions."""
        whole = joined(Hard(request.where), parsed.hard)

        def of_step(own: Hard) -> np.ndarray | None:
            return self._passing(joined(whole, own) if own and whole is not None else whole)

        return of_step

    def _passing(self, hard: Hard | None) -> np.ndarray | None:
        """Ascending ids; None for all frames. A condition that cannot be honoured is an outage."""
        if hard is None:
            return np.zeros(0, np.int64)
        if not hard:
            return None
        if (known := self.channels.passed(hard)) is not None:
            return known
        answers, _ = self.runner.run({"filter": lambda: self.channels.passing(hard)})
        return answers["filter"]

    def _result(
        self,
        request: SearchRequest,
        parsed: ParsedQuery,
        ranking: Ranking,
        answers: list[Answer],
        degraded: list[Degraded],
        began: float,
    ) -> SearchResult:
        hits = self._page(request, parsed, ranking, answers, degraded)
        best = ranking.first[:DEPTH]
        return SearchResult(
            hits=hits,
            parsed=parsed,
            degraded=degraded,
            snapshot_id=self.snapshot.id,
            total=len(ranking.scores),
            facets=self._facets(best) if request.facets else {},
            took_ms=1000 * (time.perf_counter() - began),
            did_you_mean=self.did_you_mean(parsed.text) if is_plain(parsed) else "",
        )

    def _page(
        self,
        request: SearchRequest,
        parsed: ParsedQuery,
        ranking: Ranking,
        answers: list[Answer],
        degraded: list[Degraded],
    ) -> list[Hit]:
        timeline = self.frames.timeline
        need = max(request.offset + request.limit, self.reranker.depth if self.reranker else 0)
        kept, left = collapse(ranking.first, timeline, per_video=request.per_video, need=need)
        kept, scores = self._reranked(parsed, ranking, kept, degraded)
        page = slice(request.offset, request.offset + request.limit)
        chosen = ranking.frames[kept[page]]
        more = left[timeline.video_index[chosen[:, 0]]].tolist()
        ids = timeline.vector_ids[chosen]
        return hits_of(ids, self._sealed(chosen), scores[page].tolist(), more, answers)

    def _sealed(self, positions: np.ndarray) -> list[list[SealedRecord]]:
        """Records by row of positions (n, m)."""
        records, width = self.snapshot.records.sealed(positions.ravel()), positions.shape[1]
        return [records[start : start + width] for start in range(0, len(records), width)]

    def _reranked(
        self, parsed: ParsedQuery, ranking: Ranking, kept: np.ndarray, degraded: list[Degraded]
    ) -> tuple[np.ndarray, np.ndarray]:
        """The places kept and their scores: the first in the order of the second look, the rest behind them. A second look that
        fails is named, and the first one's order stays."""
        scores = ranking.scores[kept].astype(float)
        if self.reranker is None or ranking.frames.shape[1] > 1 or not len(kept):
            return kept, scores
        depth = self.reranker.depth
        records = self.snapshot.records.at(ranking.frames[kept[:depth], 0])
        head = scores[:depth].tolist()
        looked = self.runner.attempt(RERANKER, lambda: self.reranker.rerank(parsed, records, head))
        if isinstance(looked, Degraded):
            degraded.append(looked)
            return kept, scores
        scores[:depth] = looked
        order = np.lexsort((ranking.first[kept[:depth]], -scores[:depth]))
        order = np.concatenate([order, np.arange(len(order), len(kept))])
        return kept[order], scores[order]

    def _facets(self, best: np.ndarray) -> Mapping[str, Mapping[str, int]]:
        return self.snapshot.records.facet_counts_at(best) if len(best) else {}


def _keep_from_collector() -> None:
    gc.unfreeze()
    gc.collect()
    gc.freeze()
