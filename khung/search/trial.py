"""A trial: judged topics asked of an engine, the figures by class of question, and whether two settings truly differ.

Measures are `evaluation.py`'s, topics `topics.py`'s; the page for people is `trial_page.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from khung.errors import ConfigError, QueryError
from khung.search.evaluation import (
    aic_score,
    dres_score,
    mean,
    ndcg_at,
    precision_at,
    recall_at,
    reciprocal_rank,
)
from khung.search.request import SearchRequest, SearchResult
from khung.search.topics import Topic, frames_of
from khung.stores import Timeline

DEPTH = 100
CUTS = (1, 5, 10, 50, 100)
MEASURES = ("mrr", "ndcg@10", "p@10", *(f"recall@{k}" for k in CUTS), *(f"found@{k}" for k in CUTS), "aic", "dres")
FLIPS = 20_000
_SEED = 20261122

Ask = Callable[[SearchRequest], SearchResult]


@dataclass(frozen=True)
class Outcome:
    """A topic asked: the rank of the first right frame (0: none among the first 100) and every measure."""

    topic: Topic
    rank: int
    measures: Mapping[str, float]


@dataclass(frozen=True)
class Trial:
    """All topics asked with one setting. `left_out`: topics of videos that are not in the library; `without_frame`: topics whose
    moment has no keyframe, which nobody could answer; they count as not found."""

    name: str
    outcomes: tuple[Outcome, ...]
    left_out: tuple[str, ...] = ()
    without_frame: tuple[str, ...] = ()
    degraded: frozenset[str] = field(default=frozenset())

    def values(self, measure: str) -> np.ndarray:
        return np.array([outcome.measures[measure] for outcome in self.outcomes])

    def figures(self, kind: str = "") -> dict[str, float]:
        """The mean of each measure, of all topics or of one class."""
        chosen = [o for o in self.outcomes if kind in ("", o.topic.kind)]
        return {name: round(mean([o.measures[name] for o in chosen]), 4) for name in MEASURES}

    @property
    def kinds(self) -> list[str]:
        return sorted({outcome.topic.kind for outcome in self.outcomes})


@dataclass(frozen=True, slots=True)
class Difference:
    """Mean of `measure` of the second setting minus the first's; `p` is two-sided: how often chance alone does as much."""

    measure: str
    first: float
    second: float
    p: float
    better: int  # topics on which the second is better
    worse: int


def run(
    ask: Ask,
    timeline: Timeline,
    topics: Sequence[Topic],
    *,
    preset: str = "balanced",
    name: str = "",
    strict: bool = False,
) -> Trial:
    """Every topic whose videos are all there. Raises ConfigError when none is; `strict`, for any topic that has no frame here."""
    known = set(timeline.videos)
    asked = [topic for topic in topics if topic.videos <= known]
    if not asked:
        raise ConfigError(
            "No topic asks for a video of this library.", cure="Bring the judged videos in, or judge your own."
        )
    gains = [frames_of(topic, timeline) for topic in asked]
    if strict and (unanswerable := [t.text for t, g in zip(asked, gains, strict=True) if not g]):
        raise ConfigError(f"“{unanswerable[0]}”: the snapshot has no frame in that time.")
    degraded: set[str] = set()
    outcomes = [outcome(topic, g, _ranked(ask, topic, preset, degraded)) for topic, g in zip(asked, gains, strict=True)]
    return Trial(
        name or preset,
        tuple(outcomes),
        tuple(topic.id for topic in topics if not topic.videos <= known),
        tuple(topic.id for topic, g in zip(asked, gains, strict=True) if not g),
        frozenset(degraded),
    )


def compare(first: Trial, second: Trial, measures: Sequence[str] = MEASURES) -> list[Difference]:
    """Topic by topic. Raises ConfigError unless both asked the same topics."""
    if [o.topic.id for o in first.outcomes] != [o.topic.id for o in second.outcomes]:
        raise ConfigError("The two trials asked different topics.")
    return [_difference(name, first.values(name), second.values(name)) for name in measures]


def randomised_p(differences: np.ndarray, flips: int = FLIPS) -> float:
    """Two-sided p of paired differences by sign-flipping: all 2ⁿ flips up to 14 differences that are not zero, `flips` random
    ones beyond (M. Smucker et al., “A Comparison of Statistical Significance Tests for IR Evaluation”, CIKM 2007)."""
    told = np.asarray(differences, float)
    told = told[told != 0]
    if not len(told):
        return 1.0
    bar = abs(told.sum()) - 1e-9 * np.abs(told).sum()  # equal sums in another order count as equal
    if len(told) <= 14:
        signs = 1 - 2 * ((np.arange(1 << len(told))[:, None] >> np.arange(len(told))) & 1)
        return float((np.abs(signs @ told) >= bar).mean())
    rng = np.random.default_rng(_SEED)
    reached = sum(
        int((np.abs(rng.choice((-1.0, 1.0), (min(1000, flips), len(told))) @ told) >= bar).sum())
        for _ in range(-(-flips // 1000))
    )
    return (reached + 1) / (1000 * -(-flips // 1000) + 1)


def _ranked(ask: Ask, topic: Topic, preset: str, degraded: set[str]) -> list[str]:
    try:
        result = ask(SearchRequest(text=topic.text, limit=DEPTH, facets=False, preset=preset))
    except QueryError as error:
        raise ConfigError(f"Topic {topic.id}: {error.message}", cure=error.cure) from error
    degraded.update(part.channel for part in result.degraded)
    return [hit.record.frame_id for hit in result.hits]


def outcome(topic: Topic, gains: Mapping[str, float], ranked: Sequence[str]) -> Outcome:
    """`ranked`: the frames as they were answered."""
    reciprocal = reciprocal_rank(ranked, gains)
    rank = round(1 / reciprocal) if reciprocal else 0
    measures = {"mrr": reciprocal, "ndcg@10": ndcg_at(10, ranked, gains), "p@10": precision_at(10, ranked, gains)}
    measures |= {f"recall@{k}": recall_at(k, ranked, gains) if gains else 0.0 for k in CUTS}
    measures |= {f"found@{k}": float(0 < rank <= k) for k in CUTS}
    return Outcome(topic, rank, measures | {"aic": aic_score(ranked, gains), "dres": dres_score(rank)})


def _difference(measure: str, first: np.ndarray, second: np.ndarray) -> Difference:
    apart = second - first
    better, worse = int((apart > 0).sum()), int((apart < 0).sum())
    return Difference(measure, float(first.mean()), float(second.mean()), randomised_p(apart), better, worse)
