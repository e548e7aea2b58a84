"""Ledger and shelf kept in step by the operator's chores: which sealed shard holds each video now, after something moved them.

The shelf's own part of erasing and rescaling is erase.py and rescale.py; here the ledger's lines and the archive follow.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace

from khung.errors import CorruptError, NotFound
from khung.shards.erase import Erased
from khung.shards.manifest import SnapshotManifest
from khung.shards.rescale import rescale
from khung.shards.shelf import Shelf
from khung.shards.writer import open_manifest
from khung.stores import Ledger, LedgerEntry
from khung.stores.library import Library


def forget_videos(video_ids: Collection[str], shelf: Shelf, ledger: Ledger, library: Library) -> Erased:
    """Erase videos from what is published, the archive and the ledger. Repeating it after a crash finishes the work.

    Raises NotFound, before anything is touched, when nobody knows one of them.
    """
    known = {*library.video_ids(), *shards_of(shelf)}
    if unknown := sorted(v for v in video_ids if v not in known and not ledger.get(v)):
        raise NotFound(f"There is no video {', '.join(unknown[:5])}.", cure="Names are listed by khung status.")
    erased = shelf.erase(video_ids)
    for video_id in video_ids:
        ledger.forget(video_id)
        library.delete_video(video_id)
    follow_shards(shelf, ledger)
    return erased


def rescale_library(count: int, shelf: Shelf, ledger: Ledger) -> SnapshotManifest:
    """Publish what is in service in another number of shards. Raises NotFound when nothing is."""
    now = shelf.in_service()
    old = shelf.manifest(now)
    shelf.fetch(ref.shard_id for ref in old.shards)
    sealed = [one.shard_id for one in rescale(shelf.folder, [ref.shard_id for ref in old.shards], count) if one.frames]
    for shard_id in sealed:
        shelf.keep(shard_id)
    published = shelf.publish(sealed, measure=lambda _: dict(old.normalisers), expect=now)
    newer = {
        e.video_id
        for e in ledger.find(stage="shard_indices")
        if e.fingerprint not in {ref.shard_id for ref in old.shards}
    }
    follow_shards(shelf, ledger, moved=True, newer=newer)
    return published


def shards_of(shelf: Shelf) -> dict[str, str]:
    """video_id → the shard that holds it, of the snapshot in service."""
    now = shelf.follow()
    refs = shelf.manifest(now).shards if now else ()
    shelf.fetch(ref.shard_id for ref in refs)
    return {v: ref.shard_id for ref in refs for v in open_manifest(shelf.folder, ref.shard_id).videos}


def follow_shards(
    shelf: Shelf, ledger: Ledger, *, moved: bool = False, newer: Collection[str] = ()
) -> list[LedgerEntry]:
    """Ledger lines that name a shard which is no more name the one in service, or wait to be sealed; those that changed.

    `moved`: all lines, for all shards are new; `newer`: videos whose latest results were not in service, to be sealed again.
    """
    places = shards_of(shelf)
    changed = [
        _placed(entry, places.get(entry.video_id, ""), entry.video_id in newer)
        for entry in ledger.find(stage="shard_indices")
        if entry.fingerprint and (moved or not _there(shelf, entry.fingerprint))
    ]
    ledger.put(changed)
    return changed


def _placed(entry: LedgerEntry, shard_id: str, newer: bool) -> LedgerEntry:
    if shard_id and not newer:
        return replace(entry, state="done", reason="", detail="", fingerprint=shard_id)
    return replace(entry, state="waiting", reason="", detail="its shard is no more", fingerprint=shard_id)


def _there(shelf: Shelf, shard_id: str) -> bool:
    try:
        shelf.fetch([shard_id])
        open_manifest(shelf.folder, shard_id)
    except (NotFound, CorruptError):
        return False
    return True


def missing_work(ledger: Ledger, keys: Collection[str]) -> Iterator[LedgerEntry]:
    """Lines that say done of what the archive has not (`keys`: all that it has below `videos/` and `playable/`), and all that
    builds on them, put back to waiting: after a restore the two may be of different moments. A preview is made anew only by its
    stage: it goes when the whole is embedded."""
    names: dict[str, set[str]] = {}
    for key in keys:
        kind, rest = key.split("/", 1)
        video_id, name = (rest.removesuffix(".mp4"), kind) if kind == "playable" else rest.split("/", 1)
        names.setdefault(video_id, set()).add(name)
    for first in ledger.find(stage="videos"):
        entries, there = ledger.get(first.video_id), names.get(first.video_id, set())
        broken: set[str] = set()
        for stage, (needs, file) in _FILES.items():
            entry = entries.get(stage)
            lacks = entry is not None and entry.state == "done" and not any(name.startswith(file) for name in there)
            if lacks or needs in broken:
                broken.add(stage)
                if entry and entry.state in ("done", "running"):
                    yield replace(entry, state="waiting", reason="", detail="not in the backup", attempt=0)


_FILES = {
    "videos": ("", "video.json"),
    "shots": ("videos", "shots.parquet"),
    "keyframes": ("shots", "keyframes.parquet"),
    "embeddings": ("keyframes", "embeddings-"),
    "descriptions": ("keyframes", "notes-"),
    "playable_copies": ("videos", "playable"),
}
"""Stage → the stage that it builds on, and how the name of its result begins."""
