"""Checks of what is in service, asked at any time: do ledger, archive and snapshot agree, and does it still answer?"""

import dagster as dg

from assets.catalog import previewed
from khung.errors import KhungError, NotFound
from khung.search.canaries import complaints
from khung.search.encoders import QueryEncoders
from khung.settings import Settings
from khung.shards.shelf import Shelf
from khung.shards.snapshot import Snapshot
from khung.stores import Ledger
from khung.stores.library import Library
from khung.vision import Embedder


@dg.asset_check(
    asset="search_snapshot",
    description="Every video whose stages are done is in service, with its keyframes; a preview with some of them.",
)
def library_agrees(
    ledger: dg.ResourceParam[Ledger], library: dg.ResourceParam[Library], shelf: dg.ResourceParam[Shelf]
) -> dg.AssetCheckResult:
    """A video that was just made and is not published yet counts as missing: ask when the sensors are at rest."""
    done = {entry.video_id for entry in ledger.find(stage="embeddings", state="done")} | previewed(ledger)
    with shelf.open(shelf.follow() or "", verify=False) as snapshot:
        served = {video.video_id for video in snapshot.records.videos()}
        differ = [v for v in sorted(done & served) if not _whole(library, snapshot, v)]
    wrong = {"missing": sorted(done - served), "not_in_ledger": sorted(served - done), "other_frames": differ}
    passed = not any(wrong.values())
    return dg.AssetCheckResult(passed=passed, metadata={name: ", ".join(videos[:50]) for name, videos in wrong.items()})


@dg.asset_check(
    asset="search_snapshot", description="Every file has its checksum and the canary questions are answered."
)
def still_answers(
    embedder: dg.ResourceParam[Embedder], shelf: dg.ResourceParam[Shelf], settings: dg.ResourceParam[Settings]
) -> dg.AssetCheckResult:
    try:
        with shelf.open(shelf.follow() or "") as snapshot:
            wrong = list(complaints(snapshot, QueryEncoders(settings, [embedder]).of))
    except KhungError as error:
        wrong = [str(error)]
    return dg.AssetCheckResult(passed=not wrong, metadata={"complaints": "; ".join(wrong) or "none"})


def _whole(library: Library, snapshot: Snapshot, video_id: str) -> bool:
    """Are the video's keyframes served, or some of them where it says that it is a preview?"""
    kept, served = _frames(library, video_id), _served(snapshot, video_id)
    return served <= kept if snapshot.records.video(video_id).preview else served == kept


def _frames(library: Library, video_id: str) -> set[int]:
    try:
        return {keyframe.frame_index for keyframe in library.keyframes(video_id)}
    except NotFound:
        return set()


def _served(snapshot: Snapshot, video_id: str) -> set[int]:
    return {record.keyframe.frame_index for record in snapshot.records.frames_of(video_id)}
