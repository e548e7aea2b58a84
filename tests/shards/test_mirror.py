"""Many machines: shards through S3, the pointer in PostgreSQL. Each shelf here stands for a machine."""

import secrets
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import servers
from fault_proxy import fault_proxy, now_and_then
from sample_shelf import make_library, seal_all

from khung.errors import CorruptError, KhungError, NotFound, PublishConflict
from khung.shards import mirror
from khung.shards.pointer_postgres import PostgresPointer
from khung.shards.snapshot import Snapshot, current, publish
from khung.stores import Archive
from khung.stores.archive_s3 import S3Archive
from khung.stores.postgres import Postgres

pytestmark = pytest.mark.services


@pytest.fixture
def database() -> Iterator[Postgres]:
    database = Postgres(servers.shared("postgres"), schema=f"t{secrets.token_hex(6)}", max_size=4)
    yield database
    database.close()


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return S3Archive(f"{servers.shared('s3')}-{secrets.token_hex(6)}", tmp_path / "cache")


@pytest.fixture
def shared(database: Postgres) -> PostgresPointer:
    return PostgresPointer(database)


def frames_in_service(shelf: Path) -> int:
    with Snapshot.open(shelf, str(current(shelf))) as here:
        assert len(here.records) == len(here.text) == len(here.vectors)
        return len(here.records)


def test_readers_follow_a_kitchen(tmp_path: Path, archive: Archive, shared: PostgresPointer) -> None:
    kitchen, readers = tmp_path / "kitchen", [tmp_path / f"reader{i}" for i in range(2)]
    assert mirror.follow(readers[0], archive, shared) is None
    before = None
    for videos in (2, 4):
        sealed = publish(kitchen, seal_all(kitchen, make_library(videos), 3))
        mirror.announce(kitchen, archive, shared, sealed.snapshot_id, expect=before)
        before = sealed.snapshot_id
        for reader in readers:
            assert mirror.follow(reader, archive, shared) == sealed.snapshot_id == current(reader)
            assert frames_in_service(reader) == 10 * videos
    assert [(m.version, m.reason) for m in shared.read().moves] == [(1, "publish"), (2, "publish")]
    shared.move(shared.read().moves[0].snapshot_id, "rollback")
    mirror.follow(readers[0], archive, shared)
    assert frames_in_service(readers[0]) == 20


def test_of_many_publishers_one_wins(shared: PostgresPointer) -> None:
    shared.move("first", "publish", expect=None)
    results: list[str] = []

    def run(name: str) -> None:
        try:
            shared.move(name, "publish", expect="first")
            results.append(name)
        except PublishConflict:
            results.append("conflict")

    threads = [threading.Thread(target=run, args=(f"s{i}",)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results.count("conflict") == 5
    assert [m.snapshot_id for m in shared.read().moves] == ["first", *(r for r in results if r != "conflict")]


def test_a_damaged_download_changes_nothing(tmp_path: Path, archive: Archive, shared: PostgresPointer) -> None:
    kitchen, reader = tmp_path / "kitchen", tmp_path / "reader"
    one = publish(kitchen, seal_all(kitchen, make_library(2), 2)).snapshot_id
    mirror.announce(kitchen, archive, shared, one)
    mirror.follow(reader, archive, shared)
    two = publish(kitchen, seal_all(kitchen, make_library(5), 2)).snapshot_id
    mirror.push(kitchen, archive, two)
    key = next(k for k in archive.keys("shelf/shards/") if k.endswith("records.jsonl") and archive.size(k) > 20_000)
    sound = archive.get_bytes(key)
    archive.put_bytes(key, sound[:-1] + b"?")
    shared.move(two, "publish")
    with pytest.raises(CorruptError, match=r"records\.jsonl"):
        mirror.follow(reader, archive, shared)
    assert current(reader) == one and frames_in_service(reader) == 20
    assert list((reader / ".aside").iterdir()) == []
    archive.put_bytes(key, sound)
    mirror.follow(reader, archive, shared)
    assert frames_in_service(reader) == 50


def test_a_reader_heals_its_own_damage(tmp_path: Path, archive: Archive, shared: PostgresPointer) -> None:
    kitchen, reader = tmp_path / "kitchen", tmp_path / "reader"
    one = publish(kitchen, seal_all(kitchen, make_library(2), 1)).snapshot_id
    mirror.announce(kitchen, archive, shared, one)
    mirror.follow(reader, archive, shared)
    victim = next(reader.glob("shards/*/vectors/exact.faiss"))
    victim.write_bytes(victim.read_bytes()[:-5])
    with pytest.raises(CorruptError):
        frames_in_service(reader)
    mirror.pull(archive, reader, one)
    assert frames_in_service(reader) == 20


def test_a_push_that_died_half_way_is_invisible_and_can_be_repeated(
    tmp_path: Path, archive: Archive, shared: PostgresPointer
) -> None:
    kitchen, reader = tmp_path / "kitchen", tmp_path / "reader"
    one = publish(kitchen, seal_all(kitchen, make_library(3), 2)).snapshot_id
    put, left = archive.put_file, [7]

    def dying(*args: object, **options: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        put(*args, **options)

    archive.put_file = dying
    with pytest.raises(KeyboardInterrupt):
        mirror.announce(kitchen, archive, shared, one)
    assert shared.read().current is None
    with pytest.raises(NotFound):
        mirror.pull(archive, reader, one)
    archive.put_file = put
    mirror.announce(kitchen, archive, shared, one)
    mirror.follow(reader, archive, shared)
    assert frames_in_service(reader) == 30


@pytest.mark.parametrize("what", ["503", "cut"])
def test_publishing_through_an_s3_that_fails_three_times_in_ten(
    tmp_path: Path, shared: PostgresPointer, what: str
) -> None:
    """It succeeds, or fails cleanly: then nothing is in service that cannot be read."""
    kitchen, reader = tmp_path / "kitchen", tmp_path / "reader"
    one = publish(kitchen, seal_all(kitchen, make_library(3), 2)).snapshot_id
    url = f"{servers.shared('s3')}-{secrets.token_hex(6)}"
    real = urlsplit(url).port
    with fault_proxy(real, now_and_then(what, 0.3), seed=5) as port:
        archive = S3Archive(url.replace(f":{real}/", f":{port}/"), tmp_path / "cache")
        try:
            mirror.announce(kitchen, archive, shared, one)
        except KhungError:
            assert shared.read().current is None
            mirror.announce(kitchen, archive, shared, one)
        for _ in range(5):
            try:
                mirror.follow(reader, archive, shared)
                break
            except KhungError:
                assert current(reader) is None
    assert frames_in_service(reader) == 30
