"""The snapshot in service: the newest seals of all shards, verified together, then one pointer moved."""

from collections.abc import Iterator
from functools import partial

import dagster as dg

from assets.batch import POOLS
from assets.catalog import heads
from assets.failures import in_a_row
from khung.errors import CorruptError, KhungError
from khung.search.canaries import complaints, normalisers
from khung.search.encoders import QueryEncoders
from khung.settings import Settings
from khung.shards.manifest import SnapshotManifest
from khung.shards.shelf import Shelf
from khung.shards.writer import open_manifest
from khung.stores import Ledger
from khung.vision import Embedder

CANARIES = "canary_queries"


@dg.asset(
    deps=["shard_indices"],
    group_name="shelf",
    kinds={"search"},
    owners=["team:kitchen"],
    code_version="1",
    pool=POOLS["search_snapshot"],
    check_specs=[
        dg.AssetCheckSpec(
            CANARIES,
            asset="search_snapshot",
            blocking=True,
            description="Frames spread over the library are found by their caption and by their look, before the pointer moves.",
        )
    ],
)
def search_snapshot(
    context: dg.AssetExecutionContext,
    ledger: dg.ResourceParam[Ledger],
    embedder: dg.ResourceParam[Embedder],
    settings: dg.ResourceParam[Settings],
    shelf: dg.ResourceParam[Shelf],
) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
    """The shards in service together. Checksums, equal counts in every store, recall and canary questions first; then one
    pointer is swapped, and the search service takes it up within a second. Older snapshots stay for rollback."""
    before, encoder_of = shelf.current(), QueryEncoders(settings, [embedder]).of
    try:
        sealed = shelf.publish(
            sorted(heads(ledger, settings.shard_count).values()),
            measure=partial(normalisers, encoder_of=encoder_of),
            canaries=partial(complaints, encoder_of=encoder_of),
            expect=before,
        )
    except CorruptError as error:
        yield dg.AssetCheckResult(check_name=CANARIES, passed=False, metadata={"complaint": str(error)})
        raise dg.Failure(f"Not published: {error}", allow_retries=False) from error
    version = dg.DataVersion(sealed.snapshot_id)
    yield dg.MaterializeResult(metadata=_told(shelf, before, sealed, ledger, settings.site), data_version=version)
    yield dg.AssetCheckResult(check_name=CANARIES, passed=True)


def _told(shelf: Shelf, before: str | None, sealed: SnapshotManifest, ledger: Ledger, site: str) -> dict[str, object]:
    """What went in, what went out, and what is missing because it failed."""
    failed = ledger.find(state="failed")
    rows = "\n".join(f"| {e.video_id} | {e.stage} | `{e.reason}` | {in_a_row(e.detail)} |" for e in failed[:50])
    return {
        "search_page": dg.MetadataValue.url(f"{site}/"),
        "snapshot": sealed.snapshot_id,
        "before": before or "none",
        "videos": sealed.videos,
        "frames": sealed.frames,
        "shards": len(sealed.shards),
        "model": sealed.embed_fingerprint,
        **_changes(shelf, before, sealed),
        "failed_videos": len({e.video_id for e in failed}),
        "failed": dg.MetadataValue.md(
            f"| video | stage | reason | detail |\n|---|---|---|---|\n{rows}" if failed else "none"
        ),
    }


def _changes(shelf: Shelf, before: str | None, sealed: SnapshotManifest) -> dict[str, str]:
    try:
        old = _videos(shelf, shelf.manifest(before)) if before else {}
    except KhungError as error:  # a damaged predecessor is no reason against its successor
        return {"changes": f"unknown: {error}"}
    new = _videos(shelf, sealed)
    return {
        "added": _names(new.keys() - old.keys()),
        "changed": _names({video_id for video_id in new.keys() & old.keys() if new[video_id] != old[video_id]}),
        "removed": _names(old.keys() - new.keys()),
    }


def _videos(shelf: Shelf, sealed: SnapshotManifest) -> dict[str, str]:
    """video_id → digest of what is sealed of it."""
    shelf.fetch(ref.shard_id for ref in sealed.shards)
    return {v: d for ref in sealed.shards for v, d in open_manifest(shelf.folder, ref.shard_id).videos.items()}


def _names(videos: set[str]) -> str:
    return f"{len(videos)}: {', '.join(sorted(videos)[:20])}{' …' if len(videos) > 20 else ''}" if videos else "none"
