"""The drill: database and bucket are lost, and everything comes back, at the last backup and at a moment in between."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import servers
from sample_shelf import make_library, seal_all

from khung.errors import StoreError
from khung.settings import Settings, StoreSettings
from khung.shards.forget import forget_videos
from khung.shards.manifest import shard_of
from khung.shards.restore_services import restore_postgres
from khung.shards.shelf import open_shelf
from khung.stores import LedgerEntry
from khung.stores.library import Library
from khung.stores.open import open_archive, open_ledger
from khung.stores.postgres_backup import archive_settings

pytestmark = pytest.mark.services
SHARDS = 2


@dataclass
class Site:
    """One installation: its database, its bucket, its indexes, a home for its copies."""

    folder: Path
    postgres: str
    bucket: str
    prefix: str

    @property
    def settings(self) -> Settings:
        stores = StoreSettings(
            archive_url=self.bucket, postgres_url=self.postgres, opensearch_url=servers.shared("opensearch"),
            opensearch_prefix=self.prefix, _env_file=None,
        )  # fmt: skip
        return Settings(home=self.folder, shard_count=SHARDS, stores=stores, _env_file=None)

    def khung(self, *arguments: object, code: int = 0) -> Any:
        stores = self.settings.stores
        own = {
            "COLUMNS": "400", "KHUNG_HOME": str(self.folder), "KHUNG_SHARD_COUNT": str(SHARDS), "KHUNG_STORES_ARCHIVE_URL": stores.archive_url,
            "KHUNG_STORES_POSTGRES_URL": stores.postgres_url, "KHUNG_STORES_OPENSEARCH_URL": stores.opensearch_url,
            "KHUNG_STORES_OPENSEARCH_PREFIX": stores.opensearch_prefix,
        }  # fmt: skip
        command = [sys.executable, "-m", "khung", *map(str, arguments), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | own)
        assert done.returncode == code and "Traceback" not in done.stderr, done.stdout + done.stderr
        return json.loads(done.stdout) if code == 0 else done.stderr

    def grow(self, videos: int) -> str:
        """As the pipeline would leave it; the snapshot in service."""
        shelf, ledger, library = (
            open_shelf(self.settings),
            open_ledger(self.settings),
            Library(open_archive(self.settings)),
        )
        made = make_library(videos)
        shards = seal_all(shelf.folder, made, SHARDS)
        for one in made:
            video_id = one.video.video_id
            library.put_video(one.video)
            ledger.claim(one.video.sha256, f"{video_id}.mp4", video_id)
            ledger.put([LedgerEntry(video_id, "videos", "done")])
            ledger.put([LedgerEntry(video_id, "shard_indices", "done", fingerprint=shards[shard_of(video_id, SHARDS)])])
        return shelf.publish(shards).snapshot_id

    def states(self) -> dict[str, str]:
        return {e.video_id: e.state for e in open_ledger(self.settings).find(stage="videos")}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Path]]:
    target = servers.own_folder("target")
    wal = target / "wal"
    wal.mkdir()
    if servers.AS_ROOT:
        os.chown(wal, servers.NOBODY, servers.NOBODY)
    options = [part for name, value in archive_settings(wal).items() for part in ("-c", f"{name}={value}")]
    server = servers.postgres(*options)
    name = f"t{secrets.token_hex(6)}"
    site = Site(tmp_path_factory.mktemp("site"), server.url, f"{servers.shared('s3')}-{name}", name)
    yield site, target
    open_ledger(site.settings).close()
    server.close()
    shutil.rmtree(target)


@pytest.fixture(scope="module")
def history(site: tuple[Site, Path]) -> dict[str, str]:
    """Backup, more videos, a moment, a mistake, a second backup; the moments and snapshots by name."""
    here, target = site
    told = {"one": here.grow(2)}
    saved = here.khung("backup", target, "--postgres-bin", servers.postgres_binaries())
    assert saved["snapshot"] == told["one"]
    told["two"] = here.grow(3)
    told["between"] = now(here.postgres)
    forget_videos(
        ["L00_V001"], open_shelf(here.settings), open_ledger(here.settings), Library(open_archive(here.settings))
    )
    told["three"] = open_shelf(here.settings).current()
    again = here.khung("backup", target, "--postgres-bin", servers.postgres_binaries())
    told["last"] = again["at"]
    with psycopg.connect(here.postgres, autocommit=True) as db:
        db.execute("SELECT pg_create_restore_point('the end')")  # a switch needs something to end
        (wanted,) = db.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone()
    end = time.monotonic() + 120
    while not (target / "wal" / wanted).exists():
        assert time.monotonic() < end, "the log was not archived"
        time.sleep(0.1)
    return told


def now(url: str) -> str:
    """A moment with a little time on both sides of it, by the server's clock."""
    time.sleep(0.3)
    with psycopg.connect(url) as db:
        (at,) = db.execute(
            "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS')"
        ).fetchone()
    time.sleep(0.3)
    return at


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Any]:
    """Restores onto a new server, a new bucket and new indexes."""
    started: list[servers.Server] = []
    sites: list[Site] = []

    def restored(site: Site, target: Path, at: str = "") -> tuple[Site, dict[str, Any]]:
        folder, port = servers.own_folder("restored"), servers.free_port()
        moment = ["--at", at] if at else []
        site.khung("restore", target, "--postgres-data", folder / "data", *moment)
        if servers.AS_ROOT:
            for path in [folder / "data", *(folder / "data").rglob("*")]:
                os.chown(path, servers.NOBODY, servers.NOBODY)
        url = f"postgresql://khung@127.0.0.1:{port}/postgres"
        program = servers.postgres_binaries() / "postgres"
        command = [
            program,
            "-D",
            folder / "data",
            "-p",
            str(port),
            "-k",
            "",
            "-h",
            "127.0.0.1",
            "-c",
            "archive_mode=off",
        ]
        started.append(servers.Server(url, port, folder, command, lambda: recovered(url), patience_s=240).start())
        name = f"t{secrets.token_hex(6)}"
        new = Site(tmp_path / name, url, f"{servers.shared('s3')}-{name}", name)
        sites.append(new)
        return new, new.khung("restore", target, *moment)

    yield restored
    for new in sites:
        open_ledger(new.settings).close()
    for server in started:
        server.close()


def recovered(url: str) -> bool:
    try:
        with psycopg.connect(url, connect_timeout=2) as db:
            return db.execute("SELECT NOT pg_is_in_recovery()").fetchone() == (True,)
    except psycopg.OperationalError:
        return False


def test_the_last_backup_comes_back_whole(site, history, elsewhere) -> None:
    here, target = site
    assert [row["snapshot"] for row in here.khung("backups", target)["backups"]] == [history["three"], history["one"]]
    new, back = elsewhere(here, target)
    assert (back["snapshot_id"], back["videos"], back["frames"]) == (history["three"], 2, 20)
    assert new.states() == {"L01_V001": "done", "L02_V001": "done"}
    shelf = open_shelf(new.settings)
    with shelf.open(history["three"]) as opened:
        assert len(opened.records) == len(opened.text) == len(opened.vectors) == 20
    old = {k: s for k, s, _ in open_archive(here.settings).listing()}
    assert {k: s for k, s, _ in open_archive(new.settings).listing()} == old
    assert new.grow(4) == shelf.current(), "and work goes on"
    assert "The bucket is not empty" in new.khung("restore", target, code=1)


def test_a_moment_between_two_backups_comes_back_but_what_was_erased_later_does_not(site, history, elsewhere) -> None:
    here, target = site
    new, back = elsewhere(here, target, history["between"])
    assert back["erased_again"] == ["L00_V001"]
    states = new.states()
    assert "L00_V001" not in states and states["L01_V001"] == "done"
    assert states["L02_V001"] == "waiting", "it came after the archive's list of that moment: it is made again"
    moves = [move["snapshot_id"] for move in new.khung("snapshots")["moves"]]
    assert history["two"] not in moves[:1] and back["videos"] >= 1
    with open_shelf(new.settings).open(back["snapshot_id"]) as opened:
        assert "L00_V001" not in [video.video_id for video in opened.records.videos()]


def test_what_cannot_be_restored_is_told(site, history, tmp_path: Path) -> None:
    here, target = site
    said = here.khung("restore", target, "--postgres-data", tmp_path / "x", "--at", "2020-01-01", code=1)
    assert "has no backup made until 2020-01-01T00:00:00" in said
    full = tmp_path / "full"
    full.mkdir()
    (full / "file").touch()
    assert "is not empty" in here.khung("restore", target, "--postgres-data", full, code=1)
    with pytest.raises(StoreError, match="holds no log"):
        restore_postgres(target, tmp_path / "y", at=history["last"], wal=tmp_path / "nowhere")
    assert "has no one folder" in here.khung("restore", target, "--into", tmp_path / "z", code=2)
    assert sorted(p.name for p in (target / "postgres").iterdir()) == sorted(
        p.name for p in (target / "postgres").glob("2*")
    )


def test_pruning_keeps_the_newest(site, history) -> None:
    here, target = site
    copy = servers.own_folder("copy")
    try:
        shutil.copytree(target, copy, dirs_exist_ok=True)
        assert here.khung("prune", copy, "--keep", 1)["backups"] == 1
        assert len(list((copy / "postgres").iterdir())) == 1
        kept = here.khung("backups", copy)["backups"]
        assert [row["snapshot"] for row in kept] == [history["three"]]
    finally:
        shutil.rmtree(copy)
