"""When a shot should be looked at, and which candidate stands nearest and clearest. Times and numbers only, no pictures."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from khung.video.candidates import Candidate

FAR = 0.5  # what a candidate at the edge of its moment's reach keeps of its worth


def rate_for(complexity: float, min_fps: float, max_fps: float) -> float:
    """Keyframes a second: `min_fps` for a still shot, `max_fps` for a busy one, geometric between."""
    return min_fps * (max_fps / min_fps) ** complexity


def wanted_moments(start_ms: int, end_ms: int, fps: float) -> list[float]:
    """The middles of equal parts of the shot, at least one."""
    count = max(1, round((end_ms - start_ms) / 1000 * fps))
    part = (end_ms - start_ms) / count
    return [start_ms + part * (i + 0.5) for i in range(count)]


def nearest_clear(
    candidates: Sequence[Candidate], worth: Sequence[float], moments: Sequence[float], reach_ms: float
) -> list[int]:
    """For each moment the position of the candidate that is worth most within reach, less so the farther it is.

    `candidates` are by time. One is taken once; a moment with none in reach is passed over, but one candidate is always found.
    """
    times = [each.pts_ms for each in candidates]
    taken: set[int] = set()
    for moment in moments:
        first, last = bisect_left(times, moment - reach_ms), bisect_right(times, moment + reach_ms)
        scored = [
            (worth[i] * (1 - (1 - FAR) * abs(times[i] - moment) / reach_ms), -i)
            for i in range(first, last)
            if i not in taken
        ]
        if scored:
            taken.add(-max(scored)[1])
    return sorted(taken) or [max(range(len(candidates)), key=lambda i: worth[i])]
