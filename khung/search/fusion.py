"""One score from several channels: a convex combination of fixed normalisers, or reciprocal ranks as the baseline.

Normalisers do not depend on the other hits of a question: a list with a single hit, or with one value, keeps its meaning.
S. Bruch, S. Gai, A. Ingber, “An Analysis of Fusion Functions for Hybrid Retrieval”, TOIS 2023; RRF: G. Cormack et al.,
SIGIR 2009. Channels are asked in `channels.py`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from khung.records import SealedRecord
from khung.search.loops import together
from khung.search.parsed import Event, ParsedQuery
from khung.stores.loops import at_hand

RRF_K = 60


@dataclass(frozen=True, slots=True)
class Found:
    """What one channel found: frames by vector id, each once, with raw and normalised scores (in [0, 1])."""

    ids: np.ndarray  # int64 (n,)
    raw: np.ndarray  # float32 (n,)
    normalised: np.ndarray  # float32 (n,)
    why: Callable[[np.ndarray, Sequence[SealedRecord]], Sequence[str]] = field(default=lambda ids, _: [""] * len(ids))
    """Of some of the frames, by id and record: what in each was found, in words."""

    @staticmethod
    def nothing() -> "Found":
        empty = np.zeros(0, np.float32)
        return Found(np.zeros(0, np.int64), empty, empty)


@dataclass(frozen=True, slots=True)
class Fused:
    """Frames with their fused score in [0, 1] and each channel's share of it: `scores == Σ shares`."""

    ids: np.ndarray  # int64 (n,), ascending
    scores: np.ndarray  # float32 (n,)
    shares: Mapping[str, np.ndarray]  # channel → float32 (n,)
    places: Mapping[str, np.ndarray]  # channel → int32 (n,): where in what the channel found; −1: it did not


Weights = Mapping[str, float]
BALANCED: Weights = MappingProxyType({"vector": 0.45, "text": 0.35, "screen_text": 0.1, "facets": 0.1})


def balanced(parsed: ParsedQuery, event: Event) -> Weights:
    """The default: quoted text puts half of the weight on what stands on the screen."""
    if not event.screen_text:
        return BALANCED
    others = {name: w for name, w in BALANCED.items() if name != "screen_text"}
    return {"screen_text": 0.5} | {name: 0.5 * w / sum(others.values()) for name, w in others.items()}


def proposal(parsed: ParsedQuery, event: Event) -> Weights:
    """The adaptive weights that the system was first sketched with: .4 vector, .4 text, .2 metadata; a question about time moves
    .15 to metadata, a Vietnamese one .1 from vector to text. On-screen text takes a quarter of the text's part."""
    vector, text, metadata = 0.4, 0.4, 0.2
    where = parsed.where
    if where.from_ms is not None or where.to_ms is not None or parsed.last_ms is not None:
        vector, text, metadata = vector - 0.075, text - 0.075, metadata + 0.15
    if parsed.language == "vi":
        vector, text = vector - 0.1, text + 0.1
    return {"vector": vector, "text": 0.75 * text, "screen_text": 0.25 * text, "facets": metadata}


def only(channel: str) -> Callable[[ParsedQuery, Event], Weights]:
    return lambda parsed, event: {channel: 1.0}


def equal(parsed: ParsedQuery, event: Event) -> Weights:
    """Of ranks every channel's count alike."""
    return dict.fromkeys(BALANCED, 1 / len(BALANCED))


PRESETS: Mapping[str, Callable[[ParsedQuery, Event], Weights]] = MappingProxyType(
    {"balanced": balanced, "fixed": balanced, "proposal": proposal, "rrf": equal}
    | {f"{name} only": only(name) for name in BALANCED}
)
"""`balanced` is the default: a learned fusion where the engine has one, else `fixed`. `rrf` fuses ranks, the others scores."""


def fuse(found: Mapping[str, Found], weights: Weights) -> Fused:
    """The weighted sum of normalised scores; weights are renormalised over the channels that answered.

    A channel that did not find a frame gives it nothing. No channel with a weight: nothing is found.
    """
    answered = {name: f for name, f in found.items() if weights.get(name, 0) > 0}
    total = sum(weights[name] for name in answered)
    return _combine({name: (f.ids, f.normalised * (weights[name] / total)) for name, f in answered.items()})


def fuse_ranks(found: Mapping[str, Found], k: int = RRF_K) -> Fused:
    """Reciprocal rank fusion, scaled so that the first of every channel scores 1. Equal scores share their best rank."""
    scale = (k + 1) / max(len(found), 1)
    return _combine({name: (f.ids, scale / (k + _ranks(f.normalised))) for name, f in found.items()})


def _combine(parts: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Fused:
    if not parts:
        return Fused(np.zeros(0, np.int64), np.zeros(0, np.float32), {}, {})
    ids = np.concatenate([of_channel for of_channel, _ in parts.values()])
    values = np.concatenate([shares for _, shares in parts.values()], dtype=np.float32)
    ends = np.cumsum([len(of_channel) for of_channel, _ in parts.values()])
    distinct, scores, shares, places = at_hand(together, len(ids))(ids, np.argsort(ids), values, ends)
    return Fused(distinct, scores, dict(zip(parts, shares, strict=True)), dict(zip(parts, places, strict=True)))


def _ranks(scores: np.ndarray) -> np.ndarray:
    """1 for the best; equal scores have one rank."""
    return 1 + np.searchsorted(np.sort(-scores), -scores, side="left")
