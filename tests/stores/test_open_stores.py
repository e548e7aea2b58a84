"""An address gives the service, no address the embedded store; nobody else chooses."""

import secrets
from pathlib import Path

import pytest
import servers

from khung.errors import ConfigError
from khung.settings import Settings, StoreSettings
from khung.stores import LedgerEntry
from khung.stores.archive_local import LocalArchive
from khung.stores.ledger_sqlite import SqliteLedger
from khung.stores.open import open_archive, open_database, open_ledger, open_shared_cache, open_text_indexes


def test_without_addresses_everything_is_below_home(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, stores=StoreSettings())
    assert isinstance(open_archive(settings), LocalArchive)
    assert isinstance(open_ledger(settings), SqliteLedger)
    assert (
        open_shared_cache(settings) is None and open_database(settings) is None and open_text_indexes(settings) is None
    )
    assert sorted(p.name for p in tmp_path.iterdir() if p.suffix in ("", ".sqlite")) == ["archive", "ledger.sqlite"]


@pytest.mark.services
def test_with_addresses_nothing_is_below_home(tmp_path: Path) -> None:
    stores = StoreSettings(
        archive_url=f"{servers.shared('s3')}-{secrets.token_hex(6)}",
        postgres_url=servers.shared("postgres"),
        redis_url=servers.shared("redis"),
    )
    settings = Settings(home=tmp_path, stores=stores)
    open_archive(settings).put_bytes("a/b", b"x")
    assert open_archive(settings).get_bytes("a/b") == b"x"
    video_id = f"v{secrets.token_hex(4)}"
    ledger = open_ledger(settings)
    ledger.put([LedgerEntry(video_id, "videos", "done")])
    assert ledger.get(video_id)["videos"].state == "done"
    ledger.forget(video_id)
    ledger.close()
    cache = open_shared_cache(settings)
    cache.put("k", b"x", ttl_s=5)
    assert [p.name for p in tmp_path.iterdir()] == ["cache"]


@pytest.mark.parametrize("url", ["http://host/bucket", "s3://host", "s3://k:s@host/a/b", "s3:///bucket"])
def test_a_wrong_address_is_told(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="s3://KEY:SECRET@HOST/BUCKET"):
        open_archive(Settings(home=tmp_path, stores=StoreSettings(archive_url=url)))
