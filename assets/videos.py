"""The videos: each file probed, its bytes in the archive under a name of their own."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import dagster as dg

from assets.batch import Outcome, each_video, per_video
from assets.versions import digest
from khung.errors import MediaError, NotFound
from khung.records import Video
from khung.settings import Settings
from khung.stores import Ledger
from khung.stores.library import Library
from khung.stores.sources import SourceFile, get_source
from khung.timecode import format_ms
from khung.video.formats import container_name
from khung.video.identity import file_sha256
from khung.video.probe import probe

DECODED = ("frame_count", "duration_ms", "width", "height", "fps_num", "fps_den", "vfr", "sequence_hash", "warnings")
"""What the decode pass of the shots corrects in a Video."""

TRACED = ("derived_from", "derived_offset_ms")
"""What it finds out about copies."""


@dg.multi_asset(**per_video("videos", kinds={"ffmpeg", "file"}, group="media"))
def videos(
    context: dg.AssetExecutionContext,
    ledger: dg.ResourceParam[Ledger],
    library: dg.ResourceParam[Library],
    settings: dg.ResourceParam[Settings],
) -> Iterator[dg.AssetCheckResult]:
    """One source file, probed in a sandboxed child and copied into the archive. Identity is the SHA-256 of the bytes; a file
    whose content is known under another name is linked and has no partition here. Bad files end with a reason."""
    yield from each_video(context, ledger, lambda video_id: take_in(video_id, library, settings), workers=2)


def take_in(video_id: str, library: Library, settings: Settings) -> Outcome:
    """Probe the file where it lies, copy it, and make sure that the copy is what was claimed."""
    source = get_source(library.archive, video_id)
    path = _kept(video_id, source, library) or Path(source.path)
    facts = probe(path, settings.media)
    media_key = library.put_media(video_id, path)
    if file_sha256(library.archive.local_path(media_key)) != source.sha256:
        library.archive.delete(media_key)
        raise MediaError(
            "changed", f"{source.name} was written to meanwhile.", cure="Bring it again when it is complete."
        )
    shared = {name: value for name, value in asdict(facts).items() if name in Video.__dataclass_fields__}
    video = Video(video_id=video_id, sha256=source.sha256, source_name=source.name, media_key=media_key, **shared)
    library.put_video(_with_decoded(video, library))
    wants_copy = settings.extraction.playable_copies and not video.playable
    return Outcome(digest(video), told(video, settings.site), invites=("playable_copies",) if wants_copy else ())


def _kept(video_id: str, source: SourceFile, library: Library) -> Path | None:
    """The archive's own copy from an earlier time: the inbox may have been emptied since."""
    for key in library.archive.keys(f"media/{video_id}."):
        if file_sha256(path := library.archive.local_path(key)) == source.sha256:
            return path
    return None


def _with_decoded(video: Video, library: Library) -> Video:
    """What an earlier decode pass of the same bytes found is truer than what the container says."""
    try:
        known = library.video(video.video_id)
    except NotFound:
        return video
    if known.sha256 != video.sha256 or not known.sequence_hash:
        return video
    return replace(video, **{name: getattr(known, name) for name in (*DECODED, *TRACED)})


def told(video: Video, site: str) -> dict[str, object]:
    """What people want to know of a video before it is watched. Its page is there once a snapshot names it."""
    container = container_name(video.container)
    return {
        "page": dg.MetadataValue.url(f"{site}/video/{video.video_id}"),
        "source": video.source_name,
        "duration": format_ms(video.duration_ms),
        "duration_s": round(video.duration_ms / 1000, 1),
        "picture": f"{video.width}×{video.height}, {video.fps:.3g} frames/s{' (variable)' if video.vfr else ''}",
        "format": f"{video.codec} in {container}",
        "plays_in_browsers": "yes" if video.playable else "no: playable_copies makes a copy that does",
        "size_mb": round(video.size_bytes / 1e6, 2),
        "warnings": ", ".join(video.warnings) or "none",
        "sha256": video.sha256,
    }
