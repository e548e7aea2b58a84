"""From an extraction to the shots of a video: both kinds of detectors, merged. The one door of this room."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from khung.records import Shot
from khung.shots.boundaries import transnet_boundaries
from khung.shots.content import adaptive_cuts, content_cuts
from khung.shots.merge import drop_short, merge, near_within, tile
from khung.shots.transnet import Prediction, TransNet
from khung.video.candidates import Candidate, settled_range
from khung.video.extract import Extraction

if TYPE_CHECKING:
    from khung.settings import ExtractionSettings


def detect(
    video_id: str,
    extraction: Extraction,
    transnet: TransNet,
    settings: "ExtractionSettings",
    progress: Callable[[int], None] | None = None,
) -> tuple[list[Shot], dict[str, np.ndarray]]:
    """The shots, and the signals to keep: those of the extraction with `transnet` and `transnet_many` beside.

    Every shot has a candidate frame afterwards: where the decode pass left none, it is fetched now.
    """
    prediction = transnet.predict(extraction.small, progress)
    signals = {**extraction.signals, "transnet": prediction.one_hot, "transnet_many": prediction.many_hot}
    shots = shots_of(video_id, signals, extraction.duration_ms, settings)
    _fetch_missing(extraction, shots)
    return shots, signals


def shots_of(
    video_id: str, signals: dict[str, np.ndarray], duration_ms: int, settings: "ExtractionSettings"
) -> list[Shot]:
    """The shots by the stored signals alone: try other thresholds without decoding."""
    pts_ms, one_hot = signals["pts_ms"], signals["transnet"]
    boundaries = merge(
        transnet_boundaries(Prediction(one_hot, signals["transnet_many"]), settings.transnet_threshold),
        content_cuts(signals["content"], settings.content_threshold),
        adaptive_cuts(signals["content"], settings.adaptive_threshold),
        one_hot,
        near_within(pts_ms, settings.merge_within_s),
    )
    boundaries = drop_short(boundaries, pts_ms, duration_ms, settings.min_shot_s)
    return tile(video_id, boundaries, pts_ms, duration_ms)


def without_candidate(shots: list[Shot], candidates: Sequence[Candidate]) -> list[tuple[int, int]]:
    """The settled ranges `[start_ms, end_ms)` of the shots in which no candidate lies."""
    have = np.array([candidate.pts_ms for candidate in candidates])
    settled = [settled_range(shots, index) for index in range(len(shots))]
    return [(start, end) for start, end in settled if not ((have >= start) & (have < end)).any()]


def _fetch_missing(extraction: Extraction, shots: list[Shot]) -> None:
    """A candidate for each shot that has none in its settled range: the frame nearest to its middle."""
    lacking = without_candidate(shots, extraction.candidates)
    if lacking:
        extraction.fetch(_middle_frame(extraction.pts_ms, start, end) for start, end in lacking)


def _middle_frame(pts_ms: np.ndarray, start: int, end: int) -> int:
    inside = np.flatnonzero((pts_ms >= start) & (pts_ms < end))
    return int(inside[len(inside) // 2])
