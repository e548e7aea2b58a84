"""The engine: one question over one snapshot. Parse → channels side by side → fuse → chain → collapse → records of the page.

Synchronous, CPU-bound and thread-safe; it never runs in an event loop and keeps no state but what belongs to its snapshot.
Ties are broken by the frames' order, so answers are repeatable. What the channels do is `channels.py`, threads and
time-outs `running.py`, the values `request.py`.
"""

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from khung.errors import QueryError, SearchUnavailable
from khung.records import FrameRecord, Hit
from khung.search.channels import CHANNELS, STAND_INS, Channels, FacetSets, Question
from khung.search.collapse import collapse
from khung.search.explain import hits_of
from khung.search.filters import narrowed
from khung.search.frames import Frames
from khung.search.fusion import Found, Fused, Weights, fuse, fuse_ranks
from khung.search.learned import Candidates, LearnedFusion, best_ids, candidates
from khung.search.parsed import Gap, ParsedQuery
from khung.search.query import parse
from khung.search.questions import DEPTH, check_asked, is_plain, questions_of, weights_of, with_steps
from khung.search.request import Degraded, Listener, Reranker, SearchRequest, SearchResult, SnapshotLike
from khung.search.running import TIMEOUTS_S, Runner
from khung.search.sequence import chains
from khung.search.spaces import EncoderOf, open_spaces, side_by_side
from khung.search.suggest import Suggester, captions_of
from khung.vision import Embedder

__all__ = ["Degraded", "Engine", "Reranker", "SearchRequest", "SearchResult"]

RERANKER = "reranker"
_COUNTED = 200  # best frames whose objects are counted when a number was asked for


@dataclass(frozen=True, slots=True)
class Answer:
    """What the channels found for one event, and together."""

    found: Mapping[str, Found]
    fused: Fused


@dataclass(frozen=True, slots=True)
class Ranking:
    """Chains of frames, best first: positions int64 (n, steps), one step unless it is a sequence, and scores (n,)."""

    frames: np.ndarray
    scores: np.ndarray

    @property
    def first(self) -> np.ndarray:
        return self.frames[:, 0]


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
        self.learned = learned
        self.snapshot, self.frames, self.reranker = snapshot, Frames(snapshot.records), reranker
        spaces = open_spaces(snapshot, encoder_of or (lambda _: embedder))
        self.channels = Channels(snapshot, self.frames, spaces)
        self.runner = Runner(timeouts_s)
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

    def warm(self) -> None:
        """Do beforehand what the first questions would wait for: compile the sequence search, count facets, read captions for
        suggestions; then put what lives as long as the snapshot out of the garbage collector's sight, which otherwise took a
        third of a search. Takes seconds; safe in a thread of its own while searches run."""
        none = (np.zeros(0, np.int64), np.zeros(0, np.float32))
        chains([none, none], self.frames.timeline.pts_ms, self.frames.timeline.video_index, [Gap()])
        self.snapshot.records.facet_counts(self.frames.ids[:1])
        self._suggester = Suggester(captions_of(self.snapshot.records, self.frames))
        gc.unfreeze()
        gc.collect()
        gc.freeze()

    def did_you_mean(self, text: str) -> str:
        """The text with the marks that it most likely lacks, by the library's captions; "" when there is nothing better."""
        return self._suggester.suggest(text) if self._suggester else ""

    def search(self, request: SearchRequest, listener: Listener | None = None) -> SearchResult:
        """Raises QueryError, NotFound (of a frame id), SearchUnavailable when no channel answers, and what `listener` raises."""
        began = time.perf_counter()
        request.check()
        parsed = with_steps(parse(request.text), request)
        check_asked(request, parsed)
        if listener:
            listener.parsed(parsed)
        allowed = self._allowed(request, parsed)

        def result(answers: list[Answer], degraded: list[Degraded]) -> SearchResult:
            return self._result(request, parsed, allowed, answers, degraded, began)

        def heard(channels: Sequence[str], answers: list[Answer]) -> None:
            listener.partial(channels, result(answers, []))

        return result(*self._answers(request, parsed, allowed, heard if listener else None))

    def _result(
        self,
        request: SearchRequest,
        parsed: ParsedQuery,
        allowed: np.ndarray | None,
        answers: list[Answer],
        degraded: list[Degraded],
        began: float,
    ) -> SearchResult:
        ranking = self._ranking(answers, parsed.gaps, allowed)
        hits, best = self._page(request, parsed, ranking, answers, degraded)
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

    def _allowed(self, request: SearchRequest, parsed: ParsedQuery) -> np.ndarray | None:
        """Ascending ids that pass every hard condition; None for all frames. A condition that cannot be honoured is an outage."""
        where = narrowed(request.where, parsed.where)
        if where is None:
            return np.zeros(0, np.int64)
        if not where and parsed.last_ms is None and not parsed.must_show:
            return None
        if (known := self.channels.passed(where, parsed)) is not None:
            return known
        answers, _ = self.runner.run({"filter": lambda: self.channels.passing(where, parsed)})
        return answers["filter"]

    def _answers(
        self,
        request: SearchRequest,
        parsed: ParsedQuery,
        allowed: np.ndarray | None,
        heard: Callable[[Sequence[str], list[Answer]], None] | None,
    ) -> tuple[list[Answer], list[Degraded]]:
        questions = questions_of(request, parsed, allowed)
        weights = [weights_of(request.preset, parsed, question) for question in questions]
        asked = [[c for c in self.channels.asked(q) if w.get(c)] for q, w in zip(questions, weights, strict=True)]
        if not all(asked):
            raise QueryError(
                f"The preset “{request.preset}” leaves nothing to look with.", cure="Use the preset balanced."
            )

        def fused(found: list[dict[str, Found | FacetSets]]) -> list[Answer]:
            made = [self._answer(q, f, w, request.preset) for q, f, w in zip(questions, found, weights, strict=True)]
            return [self._learned(parsed, made[0], questions[0])] if self._learns(request, made) else made

        def so_far(found: list[dict[str, Found | FacetSets]]) -> None:
            if all(f.keys() - {"facets"} for f in found):  # facets alone would rank the whole library
                heard(sorted({name for f in found for name in f}), fused(found))

        found, degraded = self._look(questions, asked, so_far if heard else None)
        return fused(found), degraded

    def _look(
        self,
        questions: Sequence[Question],
        asked: Sequence[Sequence[str]],
        so_far: Callable[[list[dict[str, Found | FacetSets]]], None] | None,
    ) -> tuple[list[dict[str, Found | FacetSets]], list[Degraded]]:
        """Each channel once, for all events; by event what each channel found."""

        def by_event(answers: Mapping[str, list]) -> list[dict[str, Found | FacetSets]]:
            answers = _as_one_channel(answers)
            return [{name: a[n] for name, a in answers.items() if a[n] is not None} for n in range(len(questions))]

        def job(name: str) -> list[Found | FacetSets | None]:
            look = getattr(self.channels, name)
            return [look(q) if name in a else None for q, a in zip(questions, asked, strict=True)]

        wanted = [name for name in CHANNELS if any(name in a for a in asked)]
        jobs = {name: lambda name=name: job(name) for name in wanted}
        if "vector" in jobs and len(self.channels.spaces) > 1:
            jobs[STAND_INS] = lambda: [self._beside(q, a) for q, a in zip(questions, asked, strict=True)]
        answers, degraded = self.runner.run(jobs, (lambda answers: so_far(by_event(answers))) if so_far else None)
        found = by_event(answers)
        if not all(found):
            raise SearchUnavailable(f"A step has no channel left ({', '.join(d.channel for d in degraded)} failed).")
        return found, degraded

    def _beside(self, question: Question, asked: Sequence[str]) -> Found | None:
        return self.channels.vector_fallback(question) if "vector" in asked else None

    def _learns(self, request: SearchRequest, made: Sequence[Answer]) -> bool:
        return self.learned is not None and request.preset == "balanced" and len(made) == 1

    def _learned(self, parsed: ParsedQuery, answer: Answer, question: Question) -> Answer:
        return replace(answer, fused=self.learned.rescored(answer.fused, self._candidates(parsed, answer, question)))

    def _candidates(self, parsed: ParsedQuery, answer: Answer, question: Question) -> Candidates:
        ids = best_ids(answer.fused)
        ids = ids[self.frames.known(ids)]
        records = [record for (record,) in self._records(self.frames.positions(ids)[:, None])]
        return candidates(answer.fused, answer.found, parsed, question.event, records, ids)

    def candidates(self, request: SearchRequest) -> Candidates | None:
        """What a learned fusion sees of a question of one step; None for a sequence or for none. Raises as `search` does."""
        request.check()
        parsed = with_steps(parse(request.text), request)
        check_asked(request, parsed)
        allowed = self._allowed(request, parsed)
        questions = questions_of(request, parsed, allowed)
        if len(questions) != 1:
            return None
        (answer,), _ = self._answers(replace(request, preset="fixed"), parsed, allowed, None)
        return self._candidates(parsed, answer, questions[0])

    def _answer(self, question: Question, found: dict[str, Found | FacetSets], weights: Weights, preset: str) -> Answer:
        """Facets judge what the other channels found; alone, they judge every frame that is allowed."""
        together = fuse_ranks if preset == "rrf" else lambda channels: fuse(channels, weights)
        sets = found.pop("facets", None)
        if not isinstance(sets, FacetSets):
            return Answer(found, together(found))
        others = [f.ids for f in found.values()]
        everything = self.frames.ids if question.allowed is None else question.allowed
        ids = np.unique(np.concatenate(others)) if others else everything
        judged = found | {"facets": sets.judge(ids)}
        if sets.counts:
            best = _best(together(judged), _COUNTED)
            records = [record for (record,) in self._records(self.frames.positions(best)[:, None])]
            judged = found | {"facets": sets.judge(ids, dict(zip(best.tolist(), records, strict=True)))}
        return Answer(judged, together(judged))

    def _ranking(self, answers: list[Answer], gaps: Sequence[Gap], allowed: np.ndarray | None) -> Ranking:
        if not answers:
            positions = np.sort(self.frames.positions(np.zeros(0, np.int64) if allowed is None else allowed))
            return Ranking(positions[:, None], np.zeros(len(positions)))
        if len(answers) > 1:
            return self._sequence(answers, gaps)
        positions, scores = self._in_order(answers[0].fused)
        order = np.argsort(-scores, kind="stable")
        return Ranking(positions[order, None], scores[order])

    def _sequence(self, answers: list[Answer], gaps: Sequence[Gap]) -> Ranking:
        """The best chain for each first frame."""
        timeline = self.frames.timeline
        found = [self._in_order(answer.fused) for answer in answers]
        totals, frames = chains(found, timeline.pts_ms, timeline.video_index, gaps)
        best = np.lexsort((frames[:, -1], -totals))
        first = np.sort(np.unique(frames[best, 0], return_index=True)[1])  # of each first frame its best, best first
        return Ranking(frames[best[first]], totals[best[first]])

    def _in_order(self, fused: Fused) -> tuple[np.ndarray, np.ndarray]:
        """Positions, ascending, and scores of the frames with any score."""
        scored = fused.scores > 0
        ids, scores = fused.ids[scored], fused.scores[scored]
        positions = self.frames.positions(ids)
        if len(positions) < len(ids):  # a store that answers for other frames than the snapshot's
            scores = scores[self.frames.known(ids)]
        order = np.argsort(positions)
        return positions[order], scores[order]

    def _page(
        self,
        request: SearchRequest,
        parsed: ParsedQuery,
        ranking: Ranking,
        answers: list[Answer],
        degraded: list[Degraded],
    ) -> tuple[list[Hit], np.ndarray]:
        """The hits of the page, and the ids of the best frames found."""
        timeline = self.frames.timeline
        need = max(request.offset + request.limit, self.reranker.depth if self.reranker else 0)
        kept, left = collapse(ranking.first, timeline, per_video=request.per_video, need=need)
        kept, scores = self._reranked(parsed, ranking, kept, degraded)
        page = slice(request.offset, request.offset + request.limit)
        chosen = ranking.frames[kept[page]]
        more = [left.get(video, 0) for video in timeline.video_index[chosen[:, 0]].tolist()]
        ids = timeline.vector_ids[chosen]
        hits = hits_of(ids, self._records(chosen), scores[page].tolist(), more, answers)
        return hits, timeline.vector_ids[ranking.first[:DEPTH]]

    def _records(self, positions: np.ndarray) -> list[list[FrameRecord]]:
        """Records by row of positions (n, m)."""
        names = [self.frames.frame_id(position) for position in positions.ravel().tolist()]
        records, width = self.snapshot.records.frames(names), positions.shape[1]
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
        records = [record for (record,) in self._records(ranking.frames[kept[:depth]])]
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
        return self.snapshot.records.facet_counts(best) if len(best) else {}


def _as_one_channel(answers: Mapping[str, list]) -> Mapping[str, list]:
    """The stand-ins' answers laid beside those of the embedder's own space; alone they would pass for all of the vectors."""
    plain = {name: a for name, a in answers.items() if name != STAND_INS}
    if STAND_INS in answers and "vector" in plain:
        pairs = zip(answers["vector"], answers[STAND_INS], strict=True)
        plain["vector"] = [own and side_by_side([own, other]) for own, other in pairs]
    return plain


def _best(fused: Fused, count: int) -> np.ndarray:
    return fused.ids[np.lexsort((fused.ids, -fused.scores))[:count]]
