"""Publishers that are killed, and readers that check everything they see. Run as a script by tests/faults.

    killed_publishers.py publish SHELF KILLS FOLDER READERS
        forks publishers one after another and kills each with SIGKILL at a random moment: KILLS times, and on until so many
        readers have left their mark in FOLDER; prints what it did as JSON
    killed_publishers.py read SHELF READS MARK
        reads until a line comes on stdin, then prints what it saw as JSON; makes the file MARK after so many reads

Every publisher seals and publishes generation after generation on top of the one that it found in service, or begins anew when
another was first. Each shard's manifest names its generation, so that a reader can tell a mixture. Imports come first and once: a
fork costs milliseconds.
"""

import contextlib
import json
import os
import random
import select
import signal
import sys
import time
from pathlib import Path

import duckdb  # noqa: F401 loaded before the forks
import faiss  # noqa: F401
import pyarrow.parquet  # noqa: F401
import tantivy  # noqa: F401
from sample_frames import DIM
from sample_shelf import make_input

from khung.errors import KhungError, PublishConflict
from khung.shards import manifest, pointer
from khung.shards.manifest import ShardManifest, shard_of
from khung.shards.reader import shard_folder, verify
from khung.shards.snapshot import Snapshot, publish, read_manifest
from khung.shards.writer import seal

SHARDS = 2
WHOLE_EVERY = 500  # reads that check all bytes, one that also opens the stores
NAMES = [next(f"v{n}" for n in range(99) if shard_of(f"v{n}", SHARDS) == i) for i in range(SHARDS)]


def in_service(shelf: Path) -> tuple[str | None, int]:
    """The snapshot and its generation."""
    now = pointer.read(shelf).current
    return now, int(read_manifest(shelf, now).normalisers["generation"][0]) if now else 0


def publish_for_ever(shelf: Path) -> None:
    while True:
        now, generation = in_service(shelf)
        new = generation + 1
        ids = [
            seal(shelf, i, [make_input(NAMES[i], 3, seed=new)], shard_count=SHARDS, embed_fingerprint="m", dim=DIM,
                 models={"generation": str(new)}).shard_id
            for i in range(SHARDS)
        ]  # fmt: skip
        with contextlib.suppress(PublishConflict):
            publish(shelf, ids, measure=lambda _, new=new: {"generation": (new,)}, expect=now)


def fork_publisher(shelf: Path) -> int:
    child = os.fork()
    if child == 0:
        try:
            publish_for_ever(shelf)
        finally:
            os._exit(1)  # only a bug in the publisher comes here
    return child


def kill_publishers(shelf: Path, kills: int, marks: Path, readers: int) -> None:
    random.seed(os.getpid())
    killed, turn, one_publication_s = 0, 0, 1.0
    while turn < kills or len(list(marks.iterdir())) < readers:
        child = fork_publisher(shelf)
        if turn % 2 == 0:  # every other publisher comes to publish; on a busy machine the rest may die before
            one_publication_s = wait_for_publication(shelf)
        time.sleep(random.uniform(0, one_publication_s))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        killed += os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        turn += 1
    print(json.dumps({"killed": killed, "turns": turn, "generation": in_service(shelf)[1]}))


def wait_for_publication(shelf: Path) -> float:
    """The seconds until the pointer moved; at most a minute."""
    begun, before = time.monotonic(), pointer.read(shelf).version
    while pointer.read(shelf).version == before and time.monotonic() < begun + 60:
        time.sleep(0.005)
    return time.monotonic() - begun


def read_once(shelf: Path, whole: bool) -> tuple[int, int] | None:
    """(version, generation) after every checksum was checked; None before the first snapshot. Raises on anything torn."""
    at = pointer.read(shelf)
    if at.current is None:
        return None
    sealed = read_manifest(shelf, at.current)
    generation = int(sealed.normalisers["generation"][0])
    for ref in sealed.shards:
        folder = shard_folder(shelf, ref.shard_id)
        own = manifest.read(folder / manifest.MANIFEST, ShardManifest)
        verify(folder, own)
        if own.models["generation"] != str(generation):
            raise AssertionError(
                f"{ref.shard_id} is of generation {own.models['generation']}, the snapshot of {generation}"
            )
    if whole:
        with Snapshot.open(shelf, at.current) as snapshot:
            if not len(snapshot.records) == len(snapshot.text) == len(snapshot.vectors) == 3 * SHARDS:
                raise AssertionError("the stores disagree")
    return at.version, generation


def read_until_told(shelf: Path, enough: int, mark: Path) -> None:
    seen = {"reads": 0, "whole": 0, "torn": [], "backward": 0, "generations": 0}
    last = (0, 0)
    while not select.select([sys.stdin], [], [], 0 if last[0] else 0.05)[0]:
        whole = seen["reads"] % WHOLE_EVERY == WHOLE_EVERY - 1
        try:
            now = read_once(shelf, whole)
        except (KhungError, AssertionError) as error:
            seen["torn"].append(str(error))
            continue
        if now is None:
            continue
        seen["reads"] += 1
        seen["whole"] += whole
        if seen["reads"] == enough:
            mark.touch()
        seen["backward"] += now[0] < last[0] or now[1] < last[1]
        seen["generations"] += now > last
        last = max(now, last)
    print(json.dumps(seen))


if __name__ == "__main__":
    role, shelf, number, marks, *rest = sys.argv[1:]
    if role == "publish":
        kill_publishers(Path(shelf), int(number), Path(marks), int(rest[0]))
    else:
        read_until_told(Path(shelf), int(number), Path(marks))
