"""The keyframes: frames chosen to stand for their shots, and their pictures."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg

from assets.batch import Outcome, each_video, per_video
from assets.checks import every_shot_has_a_keyframe
from assets.pictures import in_markdown
from assets.preview import wants_preview
from assets.versions import digest
from khung.keyframes.images import render_many
from khung.keyframes.pick import pick
from khung.keyframes.sheet import contact_sheet
from khung.records import Keyframe, Video
from khung.settings import Settings
from khung.stores import Ledger
from khung.stores.library import Library
from khung.video.candidates import Candidate, read_candidates


@dg.multi_asset(**per_video("keyframes", kinds={"python", "pillow"}, group="frames"))
def keyframes(
    context: dg.AssetExecutionContext,
    ledger: dg.ResourceParam[Ledger],
    library: dg.ResourceParam[Library],
    settings: dg.ResourceParam[Settings],
) -> Iterator[dg.AssetCheckResult]:
    """The keyframes of each video: half to two a second by the shot's complexity, at least one a shot, the sharpest near the
    wanted moment, near-duplicates dropped and remembered. With pictures: master, WebP, thumbnail, AVIF."""
    yield from each_video(context, ledger, lambda video_id: pick_frames(video_id, library, settings))


def pick_frames(video_id: str, library: Library, settings: Settings) -> Outcome:
    """Choose among the kept candidates; nothing is decoded again."""
    video, shots, signals = library.video(video_id), library.shots(video_id), library.signals(video_id)
    with library.candidates_dir(video_id) as folder:
        candidates = read_candidates(folder)
        chosen = pick(video_id, shots, signals, candidates, settings.extraction)
        every_shot_has_a_keyframe(shots, chosen)
        thumbs = _keep_pictures(library, chosen, candidates, folder, settings.extraction.decode_workers)
    sheet = contact_sheet(video.source_name, chosen, lambda frame: thumbs[frame.frame_index])
    library.put_sheet(video_id, sheet)
    library.put_keyframes(video_id, chosen)
    told = _told(video, chosen, len(candidates))
    shown = {"contact_sheet": in_markdown(sheet, "contact sheet"), **told}
    return Outcome(digest(chosen), shown, invites=("preview",) if wants_preview(len(chosen), settings) else ())


def _keep_pictures(
    library: Library, chosen: Sequence[Keyframe], candidates: Sequence[Candidate], folder: Path, workers: int
) -> dict[int, bytes]:
    """All variants into the archive; returns the thumbnails by frame."""
    file_of = {candidate.frame_index: candidate.file for candidate in candidates}
    masters = ((folder / file_of[frame.frame_index]).read_bytes() for frame in chosen)
    thumbs = {}
    for frame, pictures in zip(chosen, render_many(masters, workers), strict=True):
        for variant, data in pictures.items():
            library.put_image(frame.video_id, frame.frame_index, variant, data)
        thumbs[frame.frame_index] = pictures["thumb.webp"]
    return thumbs


def _told(video: Video, chosen: Sequence[Keyframe], candidates: int) -> dict[str, object]:
    best = max(chosen, key=lambda frame: frame.importance)
    return {
        "keyframes": len(chosen),
        "candidates": candidates,
        "dropped_as_duplicates": sum(len(frame.represents) for frame in chosen),
        "per_minute": round(len(chosen) / max(video.duration_ms / 60_000, 1e-3), 1),
        "most_important_frame": best.frame_index,
    }
