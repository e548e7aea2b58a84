"""Several detectors' boundaries become one list, and the list becomes shots that tile the video.

TransNetV2 decides: it knows dissolves and is not fooled by flashes or fast pans. The two detectors of PySceneDetect see sharp jumps of one
signal, so both must agree, and TransNetV2 must at least half suspect a cut (`SUSPECT`), before a boundary of theirs stands
without it. bench/README.md has the table that chose this rule.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from khung.records import Shot
from khung.shots.boundaries import Boundary

SUSPECT = 0.1  # TransNetV2's probability near a cut that only the others report

Near = Callable[[int, int], bool]  # are two frames within the merging distance?


def near_within(pts_ms: np.ndarray, merge_within_s: float) -> Near:
    """Distance in time, not in frames."""
    return lambda left, right: abs(int(pts_ms[left]) - int(pts_ms[right])) <= merge_within_s * 1000


def merge(
    transnet: list[Boundary], content: Iterable[int], adaptive: Iterable[int], one_hot: np.ndarray, near: Near
) -> list[Boundary]:
    """All that stand, by frame, each remembering who saw it."""
    content, adaptive = list(content), list(adaptive)
    merged = [_joined_by(boundary, {"content": content, "adaptive": adaptive}, near) for boundary in transnet]
    for cut in adaptive:
        agreed = any(abs(other - cut) <= 1 for other in content)
        suspicion = float(one_hot[max(0, cut - 3) : cut + 2].max(initial=0))
        if agreed and suspicion >= SUSPECT and not any(near(cut, boundary.frame) for boundary in merged):
            merged.append(Boundary(cut, suspicion, ("adaptive", "content")))
    return sorted(merged, key=lambda boundary: boundary.frame)


def _joined_by(boundary: Boundary, others: dict[str, list[int]], near: Near) -> Boundary:
    seen = [name for name, cuts in others.items() if any(near(cut, boundary.frame) for cut in cuts)]
    return replace(boundary, detectors=tuple(sorted({*boundary.detectors, *seen})))


def drop_short(boundaries: list[Boundary], pts_ms: np.ndarray, end_ms: int, min_shot_s: float) -> list[Boundary]:
    """Take away the less certain end of every shot that is too short, until none is; the video's ends stay."""
    kept = list(boundaries)
    while kept:
        starts = [int(pts_ms[0]), *(int(pts_ms[boundary.frame]) for boundary in kept), end_ms]
        lengths = np.diff(starts)
        shortest = int(lengths.argmin())
        if lengths[shortest] >= max(min_shot_s * 1000, 1):  # two peaks of one dissolve have one middle
            break
        ends = [i for i in (shortest - 1, shortest) if 0 <= i < len(kept)]
        kept.pop(min(ends, key=lambda i: kept[i].confidence))
    return kept


def tile(video_id: str, boundaries: list[Boundary], pts_ms: np.ndarray, end_ms: int) -> list[Shot]:
    """The shots between the boundaries: from the first frame to the last, without gap or overlap."""
    count = len(pts_ms)

    def at(frame: int) -> int:
        return int(pts_ms[frame]) if frame < count else end_ms

    opened = [None, *boundaries]
    starts = [0, *(boundary.frame for boundary in boundaries), count]
    return [
        Shot(
            video_id=video_id,
            shot_index=index,
            start_frame=starts[index],
            end_frame=starts[index + 1],
            start_ms=at(starts[index]),
            end_ms=at(starts[index + 1]),
            **(_opening(boundary, at) if boundary else {}),
        )
        for index, boundary in enumerate(opened)
    ]


def _opening(boundary: Boundary, at: Callable[[int], int]) -> dict:
    transition = boundary.transition
    return {
        "opens_with": "gradual" if transition else "cut",
        "detectors": boundary.detectors,
        "confidence": round(boundary.confidence, 4),
        "transition_ms": (at(transition[0]), at(transition[1])) if transition else None,
    }
