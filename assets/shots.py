"""The shots: one decode pass a video, and the boundaries of two kinds of detectors merged."""

import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg

from assets.batch import Outcome, each_video, per_video, progress_in
from assets.checks import shots_tile
from assets.pictures import in_markdown
from assets.versions import digest
from assets.videos import DECODED
from khung.keyframes.sheet import timeline
from khung.records import Shot, Video
from khung.settings import Settings
from khung.shots.detect import detect
from khung.shots.transnet import TransNet
from khung.stores import Ledger
from khung.stores.library import Library
from khung.video.copies import Copies
from khung.video.extract import Extraction, extract
from khung.video.sandbox import Progress

_one_network = threading.Lock()  # decoding runs beside, in children of its own


@dg.multi_asset(**per_video("shots", kinds={"ffmpeg", "opencv", "onnx"}, group="frames", pool="decode"))
def shots(
    context: dg.AssetExecutionContext,
    ledger: dg.ResourceParam[Ledger],
    library: dg.ResourceParam[Library],
    transnet: dg.ResourceParam[TransNet],
    copies: dg.ResourceParam[Copies],
    settings: dg.ResourceParam[Settings],
) -> Iterator[dg.AssetCheckResult]:
    """The shots of each video: TransNetV2 and PySceneDetect over one decode pass in a sandboxed child, merged within half a
    second; each boundary remembers who saw it. Signals and candidate frames are kept, so that thresholds are re-tuned
    without decoding."""
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
    """Decode, detect, keep; the decode pass also corrects what the container said of the video, and shows whose copy it is."""
    video = library.video(video_id)
    media = library.archive.local_path(video.media_key)
    with tempfile.TemporaryDirectory(prefix="khung-decode-") as folder:
        duration_s = video.duration_ms / 1000
        extraction = extract(media, Path(folder), settings.media, settings.extraction, progress, duration_s=duration_s)
        with _one_network:
            found, signals = detect(video_id, extraction, transnet, settings.extraction)
        video = _traced(_corrected(video, extraction), copies)
        shots_tile(video, found)
        library.put_signals(video_id, signals)
        library.put_candidates(video_id, extraction.candidates_dir)
        picture = _timeline(video, found, extraction)
    library.put_video(video)
    library.put_shots(video_id, found)
    copies.add(video)
    return Outcome(digest(found), {"timeline": in_markdown(picture, "shot timeline"), **_told(video, found)})


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


def _timeline(video: Video, found: list[Shot], extraction: Extraction) -> bytes:
    folder = extraction.candidates_dir
    return timeline(
        video.source_name,
        found,
        extraction.candidates,
        extraction.signals,
        lambda candidate: (folder / candidate.file).read_bytes(),
        marks="candidates",
    )


def _told(video: Video, found: list[Shot]) -> dict[str, object]:
    lengths = sorted((shot.end_ms - shot.start_ms) / 1000 for shot in found)
    seen_by = [name for shot in found for name in shot.detectors]
    return {
        "shots": len(found),
        "frames": video.frame_count,
        "median_shot_s": round(lengths[len(lengths) // 2], 2),
        "gradual": sum(shot.opens_with == "gradual" for shot in found),
        "seen_by": {name: seen_by.count(name) for name in sorted(set(seen_by))},
        "warnings": ", ".join(video.warnings) or "none",
        "derived_from": video.derived_from or "nothing",
    }
