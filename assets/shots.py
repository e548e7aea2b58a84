"""The shots: one decode pass a video, and the boundaries of two kinds of detectors merged."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import dagster as dg
import numpy as np

from assets.batch import Outcome, each_video, per_video, progress_in
from assets.checks import shots_tile
from assets.pictures import in_markdown
from assets.recipe import signals_recipe
from assets.versions import digest
from assets.videos import DECODED
from khung.errors import CorruptError, NotFound
from khung.keyframes.sheet import timeline
from khung.records import Shot, Video
from khung.settings import Settings
from khung.shots.detect import detect, shots_of, without_candidate
from khung.shots.transnet import TransNet
from khung.stores import Ledger
from khung.stores.library import Library
from khung.stores.scratch import scratch_folder
from khung.video.candidates import Candidate, read_candidates
from khung.video.copies import Copies
from khung.video.extract import Extraction, extract
from khung.video.sandbox import Progress

RECIPE = "recipe"  # beside the signals: of which they were made
_one_network = threading.Lock()  # decoding runs beside, in children of its own


@dg.multi_asset(**per_video("shots", kinds={"ffmpeg", "opencv", "onnx"}, group="frames"))
def shots(
    context: dg.AssetExecutionContext,
    ledger: dg.ResourceParam[Ledger],
    library: dg.ResourceParam[Library],
    transnet: dg.ResourceParam[TransNet],
    copies: dg.ResourceParam[Copies],
    settings: dg.ResourceParam[Settings],
) -> Iterator[dg.AssetCheckResult]:
    """The shots of each video: TransNetV2 and PySceneDetect over one decode pass in a sandboxed child, merged within half a
    second; each boundary remembers who saw it. Signals and candidate frames are kept: after a change of thresholds alone, the
    shots are cut anew without decoding."""
    workers = settings.extraction.decode_workers

    def work(video_id: str) -> Outcome:
        heard = progress_in(ledger, "shots", video_id)
        return find_shots(video_id, library, transnet, copies, settings, heard)

    yield from each_video(context, ledger, work, workers=workers)


def find_shots(
    video_id: str,
    library: Library,
    transnet: TransNet,
    copies: Copies,
    settings: Settings,
    progress: Progress | None = None,
) -> Outcome:
    """Cut by what an earlier pass over the same bytes left where it is there; else decode, detect, keep.

    The decode pass also corrects what the container said of the video, and shows whose copy it is.
    """
    video = library.video(video_id)
    cut = _cut_again(video, library, settings) or _decode_and_cut(video, library, transnet, settings, progress)
    video = _traced(cut.video, copies)
    library.put_video(video)
    library.put_shots(video_id, cut.shots)
    copies.add(video)
    told = _told(video, cut.shots) | {"decoded": cut.decoded}
    return Outcome(digest(cut.shots), {"timeline": in_markdown(cut.picture, "shot timeline"), **told})


@dataclass(frozen=True, slots=True)
class _Cut:
    """The shots of a video, drawn in `picture`; `decoded`: by a pass of this very run."""

    video: Video
    shots: list[Shot]
    picture: bytes
    decoded: bool


def _cut_again(video: Video, library: Library, settings: Settings) -> _Cut | None:
    """By the stored signals: only thresholds have changed. None where there are none of this recipe, or some shot would have
    no candidate to show."""
    try:
        signals = library.signals(video.video_id)
        of_this_recipe = str(signals.pop(RECIPE, "")) == signals_recipe(settings.extraction, video.sha256)
        if not of_this_recipe or len(signals["pts_ms"]) != video.frame_count:  # probed anew, and not yet corrected
            return None
        found = shots_of(video.video_id, signals, video.duration_ms, settings.extraction)
        with library.candidates_dir(video.video_id) as folder:
            candidates = read_candidates(folder)
            if without_candidate(found, candidates):
                return None
            picture = _timeline(video, found, candidates, signals, folder)
    except (NotFound, CorruptError):
        return None
    shots_tile(video, found)
    return _Cut(video, found, picture, decoded=False)


def _decode_and_cut(
    video: Video, library: Library, transnet: TransNet, settings: Settings, progress: Progress | None
) -> _Cut:
    media = library.archive.local_path(video.media_key)
    with scratch_folder("decode") as folder:
        duration_s = video.duration_ms / 1000
        extraction = extract(media, folder, settings.media, settings.extraction, progress, duration_s=duration_s)
        with _one_network:
            found, signals = detect(video.video_id, extraction, transnet, settings.extraction)
        video = _corrected(video, extraction)
        shots_tile(video, found)
        library.put_candidates(video.video_id, extraction.candidates_dir)
        recipe = signals_recipe(settings.extraction, video.sha256)
        library.put_signals(video.video_id, signals | {RECIPE: np.array(recipe)})
        picture = _timeline(video, found, extraction.candidates, signals, extraction.candidates_dir)
    return _Cut(video, found, picture, decoded=True)


def _corrected(video: Video, extraction: Extraction) -> Video:
    decoded = {name: getattr(extraction, name) for name in DECODED}
    decoded["warnings"] = tuple(dict.fromkeys((*video.warnings, *extraction.warnings)))
    return replace(video, **decoded)


def _traced(video: Video, copies: Copies) -> Video:
    origin = copies.origin(video)
    return replace(
        video,
        derived_from=origin.video_id if origin else "",
        derived_offset_ms=origin.offset_ms if origin else 0,
    )


def _timeline(
    video: Video, found: list[Shot], candidates: list[Candidate], signals: dict[str, np.ndarray], folder: Path
) -> bytes:
    def image_of(candidate: Candidate) -> bytes:
        return (folder / candidate.file).read_bytes()

    return timeline(video.source_name, found, candidates, signals, image_of, marks="candidates")


def _told(video: Video, found: list[Shot]) -> dict[str, object]:
    lengths = sorted((shot.end_ms - shot.start_ms) / 1000 for shot in found)
    seen_by = [name for shot in found for name in shot.detectors]
    return {
        "shots": len(found),
        "frames": video.frame_count,
        "median_shot_s": round(lengths[len(lengths) // 2], 2),
        "gradual_transitions": sum(shot.opens_with == "gradual" for shot in found),
        "cuts_seen_by": ", ".join(f"{name} {seen_by.count(name)}" for name in sorted(set(seen_by))) or "nobody",
        "warnings": ", ".join(video.warnings) or "none",
        "derived_from": video.derived_from or "nothing",
    }
