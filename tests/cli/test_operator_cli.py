"""The operator's commands, each a process over a home with sealed shards: rolling back, forgetting, rescaling, saving, restoring."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sample_shelf import make_library, seal_all

from khung.settings import Settings
from khung.shards.manifest import shard_of
from khung.shards.snapshot import Snapshot, current, publish
from khung.stores import LedgerEntry
from khung.stores.archive_local import LocalArchive
from khung.stores.ledger_sqlite import SqliteLedger
from khung.stores.library import Library

Khung = Callable[..., Any]
SHARDS = 3


def grow(settings: Settings, videos: int) -> str:
    """The library with so many videos, as the pipeline would leave it; the snapshot in service."""
    library, ledger = Library(LocalArchive(settings.archive_dir)), SqliteLedger(settings.ledger_path)
    made = make_library(videos)
    shards = seal_all(settings.shelf_dir, made, SHARDS)
    for one in made:
        video_id = one.video.video_id
        library.put_video(one.video)
        library.put_image(video_id, 0, "thumb.webp", video_id.encode() * 50)
        ledger.put([LedgerEntry(video_id, "videos", "done")])
        ledger.put([LedgerEntry(video_id, "shard_indices", "done", fingerprint=shards[shard_of(video_id, SHARDS)])])
    ledger.close()
    used = {shard_of(one.video.video_id, SHARDS) for one in made}
    return publish(settings.shelf_dir, [shard for index, shard in enumerate(shards) if index in used]).snapshot_id


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", shard_count=SHARDS, _env_file=None)


@pytest.fixture
def khung(tmp_path: Path) -> Khung:
    """Runs `khung … --json`; its answer, or what it complains of when it ends with `code`."""

    def run(*arguments: object, code: int = 0, home: str = "home") -> Any:
        environment = os.environ | {
            "KHUNG_HOME": str(tmp_path / home),
            "KHUNG_SHARD_COUNT": str(SHARDS),
            "COLUMNS": "200",
        }
        command = [sys.executable, "-m", "khung", *map(str, arguments), "--json"]
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=tmp_path, stdin=subprocess.DEVNULL
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return json.loads(done.stdout) if code == 0 else done.stderr

    return run


def fingerprints(settings: Settings) -> dict[str, str]:
    ledger = SqliteLedger(settings.ledger_path)
    found = {e.video_id: e.fingerprint for e in ledger.find(stage="shard_indices", state="done")}
    ledger.close()
    return found


def test_snapshots_and_the_way_back(khung: Khung, settings: Settings) -> None:
    assert khung("snapshots") == {"snapshot": None, "moves": [], "snapshots": {}}
    assert "no snapshot to go back to" in khung("rollback", code=1)
    one, two = grow(settings, 2), grow(settings, 4)
    told = khung("snapshots")
    assert told["snapshot"] == two and [move["snapshot_id"] for move in told["moves"]] == [two, one]
    assert told["snapshots"][one]["videos"] == 2
    assert khung("rollback") == {"snapshot": one, "before": two}
    assert current(settings.shelf_dir) == one and khung("snapshots")["moves"][0]["reason"] == "rollback"
    assert khung("rollback", two)["snapshot"] == two
    assert "is not a snapshot id" in khung("rollback", "../etc", code=1)
    assert khung("collect")["snapshots"] == [], "nothing is a day old"


def test_a_forgotten_video_is_nowhere_and_the_ledger_goes_on(khung: Khung, settings: Settings) -> None:
    one, two = grow(settings, 3), grow(settings, 4)
    assert "Say --yes" in khung("erase", "L01_V001", code=2)
    assert "There is no video nobody" in khung("erase", "nobody", "--yes", code=1)
    erased = khung("erase", "L01_V001", "--yes")
    assert sorted(erased["snapshots"]) == sorted([one, two]) and erased["snapshot_id"] == current(settings.shelf_dir)
    library = Library(LocalArchive(settings.archive_dir))
    assert library.video_ids() == ["L00_V001", "L02_V001", "L03_V001"] and not list(
        library.archive.keys("frames/L01_V001/")
    )
    with Snapshot.open(settings.shelf_dir, erased["snapshot_id"]) as here:
        served = {ref.shard_id for ref in here.manifest.shards}
        assert [v.video_id for v in here.records.videos()] == library.video_ids()
    assert set(fingerprints(settings)) == set(library.video_ids()) and set(fingerprints(settings).values()) <= served
    assert "There is no video L01_V001" in khung("erase", "L01_V001", "--yes", code=1)


def test_another_number_of_shards(khung: Khung, settings: Settings) -> None:
    grow(settings, 5)
    told = khung("rescale", 2, "--yes")
    assert told["frames"] == 50 and told["shards"] <= 2
    with Snapshot.open(settings.shelf_dir, told["snapshot"]) as here:
        assert set(fingerprints(settings).values()) == {ref.shard_id for ref in here.manifest.shards}
        assert {one.shard_id[:3] for one in here.manifest.shards} <= {"000", "001"} and len(here.records) == 50


def test_saving_listing_restoring_pruning(khung: Khung, settings: Settings, tmp_path: Path) -> None:
    target = tmp_path / "backups"
    assert khung("backups", target) == {"backups": []}
    assert "has no backup" in khung("restore", target, "--into", tmp_path / "new", code=1)
    one = grow(settings, 2)
    first = khung("backup", target)
    assert first["snapshot"] == one
    two = grow(settings, 4)
    khung("backup", target)
    assert [row["snapshot"] for row in khung("backups", target)["backups"]] == [two, one]
    back = khung("restore", target, "--into", tmp_path / "new")
    assert (back["snapshot_id"], back["videos"], back["frames"]) == (two, 4, 40)
    assert khung("status", home="new")["snapshot"] == two
    older = khung("restore", target, "--into", tmp_path / "older", "--at", first["at"])
    assert older["snapshot_id"] == one
    assert "is not empty" in khung("restore", target, "--into", tmp_path / "new", code=1)
    assert "is no moment" in khung("restore", target, "--into", tmp_path / "x", "--at", "yesterday", code=2)
    assert "Where to?" in khung("restore", target, code=2)
    assert khung("prune", target, "--keep", 1)["backups"] == 1
    assert khung("restore", target, "--into", tmp_path / "again")["snapshot_id"] == two
    victim = max((target / "objects").glob("*/*"), key=lambda path: path.stat().st_size)
    victim.write_bytes(victim.read_bytes()[:-1] + b"?")
    assert "is damaged" in khung("restore", target, "--into", tmp_path / "bad", code=1)
    assert not (tmp_path / "bad").exists()
