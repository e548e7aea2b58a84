"""Damage on the shelf is refused by name before anything is loaded; a full disk leaves everything as it was."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sample_shelf import make_library, seal_all

from khung.errors import CorruptError, KhungError
from khung.shards import manifest
from khung.shards.pointer import POINTER
from khung.shards.snapshot import Snapshot, current, publish, rollback


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shelf = tmp_path_factory.mktemp("sound")
    publish(shelf, seal_all(shelf, make_library(4), 2))
    return shelf


@pytest.fixture
def shelf(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "shelf"))


def content_files(shelf: Path) -> list[Path]:
    """Every file that is sealed, of one shard."""
    folder = sorted((shelf / "shards").iterdir())[0]
    sealed = manifest.read(folder / manifest.MANIFEST, manifest.ShardManifest)
    return [folder / file.path for file in sealed.files] + [folder / manifest.MANIFEST]


def open_current(shelf: Path) -> None:
    snapshot_id = current(shelf)
    assert snapshot_id
    Snapshot.open(shelf, snapshot_id).close()


def damages(data: bytes) -> Iterator[bytes]:
    """Truncated, grown, and one bit flipped in several places."""
    yield data[:-1]
    yield data[: len(data) // 2]
    yield b""
    yield data + b"\0"
    for place in sorted({0, len(data) // 3, len(data) // 2, len(data) - 1}):
        flipped = bytearray(data)
        flipped[place] ^= 1 << (place % 8)
        yield bytes(flipped)


def test_any_damaged_file_of_a_shard_is_refused_by_name(shelf: Path) -> None:
    open_current(shelf)
    files = content_files(shelf)
    assert len(files) >= 14
    for path in files:
        data = path.read_bytes()
        for damaged in damages(data):
            if damaged == data:
                continue  # an empty file cut short is the same file
            path.write_bytes(damaged)
            with pytest.raises(CorruptError) as refused:
                open_current(shelf)
            assert path.name in str(refused.value)
        path.unlink()
        with pytest.raises(KhungError):
            open_current(shelf)
        path.write_bytes(data)
    open_current(shelf)


def test_every_flipped_byte_of_the_small_files_is_seen(shelf: Path) -> None:
    """The pointer and the snapshot's manifest: each byte in turn."""
    snapshot_id = current(shelf)
    for path in (shelf / POINTER, shelf / "snapshots" / f"{snapshot_id}.json"):
        data = path.read_bytes()
        for place in range(len(data)):
            flipped = bytearray(data)
            flipped[place] ^= 1 << (place % 8)
            path.write_bytes(flipped)
            with pytest.raises(CorruptError, match=path.name.replace(".", r"\.")):
                open_current(shelf)
        path.write_bytes(data)
    open_current(shelf)


def test_a_manifest_with_a_right_checksum_and_another_content_is_refused(shelf: Path) -> None:
    """A snapshot's id is the hash of its content: nobody can put other shards under it."""
    path = shelf / "snapshots" / f"{current(shelf)}.json"
    content = json.loads(path.read_bytes())["content"]
    content["shards"] = content["shards"][:1]
    path.write_bytes(manifest.encode(content))
    with pytest.raises(CorruptError, match="another hash"):
        open_current(shelf)


def test_damage_stops_publishing_and_rolling_back(shelf: Path) -> None:
    one = current(shelf)
    newer = seal_all(shelf, make_library(5), 2)
    two = publish(shelf, newer).snapshot_id
    victim = content_files(shelf)[0]
    victim.write_bytes(victim.read_bytes()[:-1] + b"\x00")
    ids = [f.name for f in sorted((shelf / "shards").iterdir())]
    with pytest.raises(CorruptError, match=victim.name):
        publish(shelf, [victim.relative_to(shelf / "shards").parts[0]])
    broken_one = any(victim.is_relative_to(shelf / "shards" / i) for i in ids if i not in newer)
    with pytest.raises(CorruptError):
        rollback(shelf, one if broken_one else two)
    assert current(shelf) == two


FULL_DISK = """
import resource, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from sample_shelf import make_library, seal_all
from khung.errors import StoreError
from khung.shards.snapshot import publish
from khung.stores.vectors_build import IndexPolicy
import faiss, tantivy, duckdb, pyarrow.parquet
shelf, limit = Path(sys.argv[2]), int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))  # the kernel refuses to write further, as a full disk does
try:
    publish(shelf, seal_all(shelf, make_library(6, seed=3), 2))
except StoreError as error:
    print(error)
    sys.exit(3)
"""


@pytest.mark.parametrize("limit", [0, 300, 1_000, 2_500, 5_000, 9_000])
def test_a_full_disk_leaves_the_pointer_and_nothing_aside(shelf: Path, limit: int) -> None:
    """The limits stop different writers: JSON lines, Parquet, postings, vectors."""
    before = {p: p.read_bytes() for p in shelf.rglob("*") if p.is_file() and p.suffix != ".lock"}
    support = str(Path(__file__).parent.parent / "support")
    child = subprocess.run(
        [sys.executable, "-c", FULL_DISK, support, str(shelf), str(limit)], capture_output=True, text=True, check=False
    )
    assert child.returncode == 3, child.stderr
    assert "full?" in child.stdout
    after = {p: p.read_bytes() for p in shelf.rglob("*") if p.is_file() and p.suffix != ".lock"}
    assert {p: after[p] for p in before} == before
    assert not list((shelf / ".aside").iterdir())
    open_current(shelf)
