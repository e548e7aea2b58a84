"""Copies that browsers play, of the videos that they do not: for people alone, no other stage builds on them."""

from collections.abc import Iterator

import dagster as dg

from assets.batch import Outcome, each_video, per_video, progress_in
from khung.records import Video
from khung.settings import Settings
from khung.stores import Ledger
from khung.stores.library import Library
from khung.video.formats import container_name
from khung.video.identity import file_sha256
from khung.video.playable import Copy, playable_copy
from khung.video.sandbox import Progress


@dg.multi_asset(**per_video("playable_copies", kinds={"ffmpeg", "file"}, group="media"))
def playable_copies(
    context: dg.AssetExecutionContext,
    ledger: dg.ResourceParam[Ledger],
    library: dg.ResourceParam[Library],
    settings: dg.ResourceParam[Settings],
) -> Iterator[dg.AssetCheckResult]:
    """H.264 4:2:0 and AAC in an MP4, made in a sandboxed child from videos that browsers do not play: the same frames at the
    same times. Other videos need none and stay “missing” here. Derived from the media in the archive and made again from them;
    deleted with the video."""
    workers = settings.extraction.decode_workers

    def work(video_id: str) -> Outcome:
        return make_playable(video_id, library, settings, progress_in(ledger, "playable_copies", video_id))

    yield from each_video(context, ledger, work, workers=workers)


def make_playable(video_id: str, library: Library, settings: Settings, progress: Progress | None = None) -> Outcome:
    """The copy into the archive; its fingerprint is the SHA-256 of its bytes, by which browsers know it again."""
    video = library.video(video_id)
    media = library.archive.local_path(video.media_key)
    with playable_copy(media, settings.media, video.duration_ms / 1000, progress) as (copy, made):
        library.put_playable(video_id, copy)
        return Outcome(file_sha256(copy), _told(video, made))


def _told(video: Video, made: Copy) -> dict[str, object]:
    return {
        "why": f"browsers do not play this {video.codec} in {container_name(video.container)}",
        "frames": made.frames,
        "size_mb": round(made.size_bytes / 1e6, 2),
        "of_the_original": f"{made.size_bytes / max(video.size_bytes, 1):.0%}",
        "sound": made.sound,
        "cpu_s": made.cpu_s,
        "warnings": ", ".join(made.warnings) or "none",
    }
