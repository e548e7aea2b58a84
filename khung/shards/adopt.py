"""From one machine to many: an embedded home's archive, ledger and snapshot in service, brought into the services of the settings.

Every step may be repeated, so a crash is mended by the same call; the home stays as it is. The services must hold nothing else: two
libraries are not joined here. Older snapshots stay behind, and API keys and contests are each server's own.
"""

import contextlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from khung.errors import ConfigError, NotFound, StoreError
from khung.settings import Settings
from khung.shards import archived, erase, mirror, snapshot
from khung.shards.backup import ARCHIVE, LEDGER, SHELF
from khung.shards.backup_objects import Tell
from khung.shards.forget import follow_shards
from khung.shards.shelf import open_shelf
from khung.shards.shelf_shared import SharedShelf
from khung.stores import Archive, Ledger
from khung.stores.archive_local import LocalArchive
from khung.stores.ledger_sqlite import SqliteLedger
from khung.stores.open import open_archive, open_ledger


@dataclass(frozen=True, slots=True)
class Adopted:
    """What the services have now."""

    videos: int
    files: int
    snapshot_id: str  # in service; empty when nothing was published


def adopt(home: Path, settings: Settings, *, tell: Tell = lambda *_: None) -> Adopted:
    """Bring `home` into the services. Not while its pipeline is at work. Raises ConfigError when the settings name no services, NotFound
    without a home, StoreError when the services hold another library."""
    shelf = open_shelf(settings)
    if not isinstance(shelf, SharedShelf):
        raise ConfigError("The settings name no services.", cure="Set KHUNG_STORES_PROFILE=services, or the addresses.")
    if not (home / LEDGER).is_file():
        raise NotFound(f"{home} is no home of khung: it has no {LEDGER}.")
    archive, ledger, own = open_archive(settings), open_ledger(settings), SqliteLedger(home / LEDGER)
    now = snapshot.current(home / SHELF) if (home / SHELF).is_dir() else None
    _must_be_free(shelf, ledger, own, now)
    _claim(own, ledger)
    files = _copy(LocalArchive(home / ARCHIVE), archive, tell)
    if now:
        _publish(home / SHELF, now, shelf, archive, {e.fingerprint for e in own.find(stage="shard_indices")})
    ledger.put(own.find())
    follow_shards(shelf, ledger)
    archived.log_erased(archive, erase.erased(home / SHELF))
    videos = len(own.find(stage="videos"))
    own.close()
    return Adopted(videos, files, now or "")


def _must_be_free(shelf: SharedShelf, ledger: Ledger, own: SqliteLedger, now: str | None) -> None:
    served, known = shelf.current(), {entry.video_id for entry in ledger.find(stage="videos")}
    strange = known - {entry.video_id for entry in own.find(stage="videos")}
    if served not in (None, now) or strange:
        raise StoreError(
            f"The services hold another library: {served or ', '.join(sorted(strange)[:5])}.",
            cure="Name a new bucket, KHUNG_STORES_POSTGRES_SCHEMA and KHUNG_STORES_OPENSEARCH_PREFIX.",
        )


def _claim(own: SqliteLedger, ledger: Ledger) -> None:
    """The owners of a content before those that are linked to them, as they came."""
    for video_id, sha256, source_name in own.claims():
        got, _ = ledger.claim(sha256, source_name, video_id)
        if got != video_id:
            raise StoreError(f"The services know {video_id} as {got}.", cure="Adopt into services that hold nothing.")


def _copy(home: Archive, services: Archive, tell: Tell) -> int:
    """What the services have not, or have in another size."""
    keys = list(home.keys(""))
    for number, key in enumerate(keys, 1):
        if services.size(key) != home.size(key):
            services.put_file(key, home.local_path(key))
        tell(number, len(keys))
    return len(keys)


def _publish(own: Path, now: str, shelf: SharedShelf, archive: Archive, sealed: Collection[str]) -> None:
    """The same shards with the same scales are the same snapshot. What was sealed and not published yet comes along."""
    mirror.push(own, archive, now)
    there = snapshot.read_manifest(own, now)
    ids = [ref.shard_id for ref in there.shards]
    for shard_id in filter(None, set(sealed) - set(ids)):
        with contextlib.suppress(NotFound):  # taken since: the ledger's line will wait to be sealed
            mirror.push_shard(own, archive, shard_id)
    if shelf.current() != now:
        shelf.publish(ids, measure=lambda _: dict(there.normalisers), expect=None)
