"""Backups and drills: what was saved comes back, checked, at any of the saved moments."""

import time
from pathlib import Path

import pytest
from sample_shelf import make_library, seal_all

from khung.api import keys
from khung.contest.team import Team
from khung.errors import CorruptError, NotFound, StoreError
from khung.shards.backup import ARCHIVE, CONTEST, KEYS, LEDGER, SHELF, backup, backups, prune, restore
from khung.shards.erase import erase
from khung.shards.snapshot import Snapshot, current, history, publish, rollback
from khung.stores import LedgerEntry
from khung.stores.archive_local import LocalArchive
from khung.stores.ledger_sqlite import SqliteLedger
from khung.stores.library import Library


def grow(home: Path, videos: int) -> str:
    """The library with so many videos: media, states and a snapshot."""
    library, ledger = Library(LocalArchive(home / ARCHIVE)), SqliteLedger(home / LEDGER)
    for one in make_library(videos):
        library.put_video(one.video)
        library.put_image(one.video.video_id, 0, "thumb.webp", one.video.video_id.encode() * 50)
        ledger.put([LedgerEntry(one.video.video_id, "videos", "done")])
    ledger.close()
    return publish(home / SHELF, seal_all(home / SHELF, make_library(videos), 3)).snapshot_id


def contents(home: Path) -> dict[str, bytes]:
    kept = [
        p for top in (ARCHIVE, SHELF) for p in (home / top).rglob("*") if p.is_file() and not p.name.endswith(".lock")
    ]
    return {p.relative_to(home).as_posix(): p.read_bytes() for p in kept}


def states(home: Path) -> list[tuple[str, str]]:
    ledger = SqliteLedger(home / LEDGER)
    found = [(e.video_id, e.state) for e in ledger.find()]
    ledger.close()
    return found


def test_everything_comes_back(tmp_path: Path) -> None:
    home, target = tmp_path / "home", tmp_path / "backup"
    one, two = grow(home, 2), grow(home, 4)
    backup(home, target)
    before, ledger = contents(home), states(home)
    (home / SHELF).rename(tmp_path / "lost")
    back = restore(target, tmp_path / "new")
    assert contents(tmp_path / "new") == before and states(tmp_path / "new") == ledger
    assert (back.snapshot_id, back.videos, back.frames, back.erased_again) == (two, 4, 40, ())
    with Snapshot.open(tmp_path / "new" / SHELF, two) as here:
        assert len(here.records) == 40
    rollback(tmp_path / "new" / SHELF, one)


def test_any_saved_moment_comes_back(tmp_path: Path) -> None:
    home, target = tmp_path / "home", tmp_path / "backup"
    moments = []
    for videos in (1, 3, 5):
        snapshot = grow(home, videos)
        moments.append((backup(home, target).at, snapshot, videos))
        time.sleep(0.01)
    for number, (at, snapshot, videos) in enumerate(moments):
        back = restore(target, tmp_path / str(number), at=at)
        assert (back.snapshot_id, back.videos) == (snapshot, videos)
        assert len(states(tmp_path / str(number))) == videos
        assert len(history(tmp_path / str(number) / SHELF)) == number + 1
    with pytest.raises(NotFound):
        restore(target, tmp_path / "x", at="2000-01-01T00:00:00")
    with pytest.raises(StoreError, match="not empty"):
        restore(target, home)


def test_a_second_backup_copies_only_what_is_new(tmp_path: Path) -> None:
    home, target = tmp_path / "home", tmp_path / "backup"
    grow(home, 3)
    backup(home, target)
    objects = {p: p.stat().st_mtime_ns for p in (target / "objects").rglob("*") if p.is_file()}
    backup(home, target)
    again = {p: p.stat().st_mtime_ns for p in (target / "objects").rglob("*") if p.is_file()}
    assert {p: t for p, t in again.items() if p in objects}.items() >= {p: t for p, t in objects.items()}.items()
    assert len(again) <= len(objects) + 1, "the ledger's copy at most"


def test_an_empty_home(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    assert backup(tmp_path / "home", tmp_path / "backup").snapshot_id == ""
    SqliteLedger(tmp_path / "home" / LEDGER).close()
    backup(tmp_path / "home", tmp_path / "backup")
    assert restore(tmp_path / "backup", tmp_path / "new").frames == 0


def test_a_damaged_or_lost_object_is_refused(tmp_path: Path) -> None:
    home, target = tmp_path / "home", tmp_path / "backup"
    grow(home, 2)
    backup(home, target)
    victims = sorted(p for p in (target / "objects").rglob("*") if p.is_file())
    for victim in victims[::5]:
        data = victim.read_bytes()
        victim.write_bytes(bytes([data[0] ^ 1]) + data[1:] if data else b"more")  # a lock file is empty
        with pytest.raises(CorruptError):
            restore(target, tmp_path / "new")
        victim.unlink()
        with pytest.raises(CorruptError):
            restore(target, tmp_path / "new")
        assert not (tmp_path / "new").exists()
        victim.write_bytes(data)
    restore(target, tmp_path / "new")


def test_what_was_erased_later_is_erased_again(tmp_path: Path) -> None:
    home, target = tmp_path / "home", tmp_path / "backup"
    grow(home, 4)
    at = backup(home, target).at
    erase(home / SHELF, ["L02_V001"])
    backup(home, target)
    back = restore(target, tmp_path / "new", at=at)
    assert back.erased_again == ("L02_V001",) and back.videos == 3
    assert not [p for p in (tmp_path / "new").rglob("*") if p.is_file() and p.suffix != ".jsonl" and b"L02_V001" in p.read_bytes()
                and p.name != LEDGER]  # fmt: skip
    assert "L02_V001" not in dict(states(tmp_path / "new"))
    assert current(tmp_path / "new" / SHELF) == back.snapshot_id


def test_pruning_drops_what_only_old_backups_held(tmp_path: Path) -> None:
    home, target = tmp_path / "home", tmp_path / "backup"
    for videos in (1, 2):
        grow(home, videos)
        backup(home, target)
        time.sleep(0.01)
    erase(home / SHELF, ["L00_V001"])
    Library(LocalArchive(home / ARCHIVE)).delete_video("L00_V001")
    backup(home, target)
    assert prune(target, keep=1) > 0
    assert len(backups(target)) == 1
    assert restore(target, tmp_path / "new").videos == 1
    assert not [p for p in (target / "objects").rglob("*") if p.is_file() and b"L00_V001" * 50 in p.read_bytes()]


def test_keys_and_a_contest_s_answers_come_back_and_no_revoked_key_with_them(tmp_path: Path) -> None:
    home, target = tmp_path / "home", tmp_path / "backup"
    grow(home, 1)
    _, lan = keys.create(home / KEYS, "Lan", ["search"])
    with Team(home / CONTEST).changing() as db:
        db.execute("INSERT INTO seats VALUES ('a', 'b', 'c', 'd', 'e')")
    at = backup(home, target).at
    time.sleep(0.01)
    keys.revoke(home / KEYS, lan.id)
    backup(home, target)
    restore(target, tmp_path / "new", at=at)
    (key,) = keys.read(tmp_path / "new" / KEYS)
    assert key.id == lan.id and key.revoked_at
    with Team(tmp_path / "new" / CONTEST).changing() as db:
        assert db.execute("SELECT count(*) FROM seats").fetchone()[0] == 1


def test_who_prunes_waits_for_who_saves(tmp_path: Path) -> None:
    """What is just being brought is on no list yet: pruning would take it."""
    home, target = tmp_path / "home", tmp_path / "backup"
    grow(home, 1)
    refused: list[str] = []

    def meanwhile(done: int, total: int) -> None:
        if done == total:
            for other in (lambda: prune(target, keep=1), lambda: backup(home, target)):
                with pytest.raises(StoreError, match="Another khung") as told:
                    other()
                refused.append(str(told.value))

    backup(home, target, tell=meanwhile)
    assert len(refused) == 2
    left = target / "objects" / ".aside-of-one-that-was-killed"
    left.write_bytes(b"half")
    assert prune(target, keep=1) == 0 and not left.exists()
    assert restore(target, tmp_path / "new").videos == 1
