"""Garbage collection against readers that come at the wrong moment."""

import threading
from pathlib import Path

from sample_shelf import make_library, seal_all

from khung.errors import NotFound
from khung.shards.garbage import collect
from khung.shards.reader import shard_folder, verify
from khung.shards.snapshot import Snapshot, current, publish
from khung.shards.writer import open_manifest

GENERATIONS, READS = 25, 150


def test_a_collector_never_takes_what_is_read_or_published(tmp_path: Path) -> None:
    """The collector keeps one snapshot and no grace, and never rests; readers open what is in service and read all of it, slowly.

    What is sealed and not yet in service is young: without a grace only a lock keeps it from the collector.
    """
    publish(tmp_path, seal_all(tmp_path, make_library(2), 2))
    stop, sealing, errors, reads, taken = threading.Event(), threading.Lock(), [], [0, 0], [0]

    def clean() -> None:
        while not stop.is_set():
            with sealing:
                taken[0] += len(collect(tmp_path, keep=1, min_age_s=-1).shards)

    def read(number: int) -> None:
        while not stop.is_set() or (reads[number] < READS and not errors):
            try:
                opened = Snapshot.open(tmp_path, str(current(tmp_path)))
            except NotFound:  # collected between the pointer and the opening: the pointer has moved on
                continue
            with opened:
                for ref in opened.manifest.shards:
                    verify(shard_folder(tmp_path, ref.shard_id), open_manifest(tmp_path, ref.shard_id))
                reads[number] += 1

    def guarded(work, *args) -> None:
        try:
            work(*args)
        except BaseException as error:  # noqa: BLE001 told by the test
            errors.append(error)
            stop.set()

    threads = [threading.Thread(target=guarded, args=(read, n)) for n in range(2)]
    threads.append(threading.Thread(target=guarded, args=(clean,)))
    for thread in threads:
        thread.start()
    for turn in range(1, GENERATIONS):
        with sealing:
            publish(tmp_path, seal_all(tmp_path, make_library(2, seed=turn), 2))
    stop.set()
    for thread in threads:
        thread.join()
    assert errors == []
    assert min(reads) >= READS and taken[0] > GENERATIONS
    Snapshot.open(tmp_path, str(current(tmp_path))).close()
