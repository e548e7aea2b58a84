"""The keyframes of a video: chosen from the candidates, shot by shot, with their scores. The one door of this room.

Formulas, version 2 (docs/keyframes.md), all in [0, 1]:
sharpness = the signal over its 95th percentile in this video;
scene_change = Hamming distance to the keyframe before over 32 bits (1 for the first);
importance = 0.35 presence + 0.25 scene_change + 0.20 motion + 0.20 quality, with presence = 1 - exp(-seconds stood for / 4) and
quality = sqrt(sharpness · entropy).
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from khung.keyframes.duplicates import collapse
from khung.keyframes.motion import AROUND_MS, complexity, motion_at
from khung.keyframes.sampling import nearest_clear, rate_for, wanted_moments
from khung.records import Keyframe, Shot
from khung.video.candidates import Candidate, settled_range
from khung.video.phash import distance

if TYPE_CHECKING:
    from khung.settings import ExtractionSettings

SCORES_VERSION = 2
BLANK_ENTROPY = 0.25  # of 1: a black, white or one-coloured picture is below; fog and night are above
PRESENCE_S = 4.0
UNRELATED_BITS = 32


@dataclass(frozen=True, slots=True)
class _Chosen:
    """A candidate that stays, for which shot, for how long it stands, and what was dropped for it."""

    candidate: Candidate
    shot_index: int
    span_ms: float
    represents: tuple[int, ...]


def pick(
    video_id: str,
    shots: Sequence[Shot],
    signals: dict[str, np.ndarray],
    candidates: Sequence[Candidate],
    settings: "ExtractionSettings",
) -> list[Keyframe]:
    """The keyframes by time, at least one for each shot that has a candidate. `candidates` are by time."""
    looks = _Looks(signals)
    chosen = [each for index in range(len(shots)) for each in _of_shot(shots, index, looks, candidates, settings)]
    before: list[_Chosen | None] = [None, *chosen[:-1]]
    return [_keyframe(video_id, each, last, looks) for each, last in zip(chosen, before, strict=True)]


class _Looks:
    """The signals, read for one frame: how sharp, how full of things, how worthy of being shown."""

    def __init__(self, signals: dict[str, np.ndarray]) -> None:
        self.signals = signals
        self._sharp = max(float(np.percentile(signals["sharpness"], 95)), 1e-9)

    def sharpness(self, candidate: Candidate) -> float:
        return min(1.0, float(self.signals["sharpness"][candidate.frame_index]) / self._sharp)

    def quality(self, candidate: Candidate) -> float:
        entropy = float(self.signals["entropy"][candidate.frame_index])
        return math.sqrt(self.sharpness(candidate) * min(1.0, entropy))

    def worth(self, candidate: Candidate) -> float:
        """Above 1 for a picture that shows something, so that a blank one is taken only where there is nothing else."""
        blank = self.signals["entropy"][candidate.frame_index] < BLANK_ENTROPY
        return self.quality(candidate) + (0.0 if blank else 1.0)


def _of_shot(
    shots: Sequence[Shot], index: int, looks: _Looks, candidates: Sequence[Candidate], settings: "ExtractionSettings"
) -> list[_Chosen]:
    start, end = settled_range(shots, index)
    first, last = (bisect_left(candidates, ms, key=lambda each: each.pts_ms) for ms in (start, end))
    inside = candidates[first:last]
    if not inside:
        return []
    busy = complexity(looks.signals, inside, start, end, settings.max_fps)
    fps = rate_for(busy, settings.min_fps, settings.max_fps)
    moments = wanted_moments(start, end, fps)
    worth = [looks.worth(each) for each in inside]
    positions = nearest_clear(inside, worth, moments, (end - start) / len(moments) / 2)
    sampled = [inside[i] for i in positions]
    kept = collapse([each.phash for each in sampled], [worth[i] for i in positions], settings.phash_hamming)
    span_ms = (shots[index].end_ms - shots[index].start_ms) / len(kept)
    return [
        _Chosen(sampled[i], index, span_ms, tuple(sampled[j].frame_index for j in dropped))
        for i, dropped in kept.items()
    ]


def _keyframe(video_id: str, chosen: _Chosen, before: _Chosen | None, looks: _Looks) -> Keyframe:
    candidate = chosen.candidate
    motion = motion_at(looks.signals, candidate.pts_ms - AROUND_MS, candidate.pts_ms + AROUND_MS)
    change = min(1.0, distance(candidate.phash, before.candidate.phash) / UNRELATED_BITS) if before else 1.0
    presence = 1 - math.exp(-chosen.span_ms / 1000 / PRESENCE_S)
    importance = 0.35 * presence + 0.25 * change + 0.20 * motion + 0.20 * looks.quality(candidate)
    return Keyframe(
        video_id=video_id,
        frame_index=candidate.frame_index,
        pts_ms=candidate.pts_ms,
        shot_index=chosen.shot_index,
        importance=round(importance, 4),
        motion=round(motion, 4),
        scene_change=round(change, 4),
        sharpness=round(looks.sharpness(candidate), 4),
        phash=candidate.phash,
        represents=chosen.represents,
    )
