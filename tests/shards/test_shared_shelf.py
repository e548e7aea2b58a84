"""One shelf on many machines, by settings alone: shards in S3, pointer and records in PostgreSQL, captions in OpenSearch.

Each home here stands for a machine; the servers are real.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from own_services import own_stores
from sample_shelf import make_input, make_library, seal_all

from khung.errors import CorruptError, NotFound, PublishConflict
from khung.settings import Settings, StoreSettings
from khung.shards import archived
from khung.shards.shelf import Shelf, open_shelf
from khung.shards.shelf_shared import SharedShelf
from khung.shards.snapshot import Snapshot
from khung.stores import TextClause
from khung.stores.open import open_archive, open_database, open_text_indexes
from khung.stores.records_postgres import PostgresRecords

pytestmark = pytest.mark.services
CLAUSES = [TextClause("vi_key", "đương2"), TextClause("vi_fold", "duong", 0.5), TextClause("vi_fold", "pho")]


@pytest.fixture
def stores() -> Iterator[StoreSettings]:
    own = own_stores()
    yield own
    open_database(Settings(stores=own, _env_file=None)).close()


@pytest.fixture
def machine(stores: StoreSettings, tmp_path: Path) -> Callable[[str], SharedShelf]:
    def of(name: str) -> SharedShelf:
        shelf = open_shelf(Settings(home=tmp_path / name, stores=stores, _env_file=None))
        assert isinstance(shelf, SharedShelf)
        return shelf

    return of


def publish(shelf: Shelf, videos: int, **options: object) -> str:
    ids = seal_all(shelf.folder, make_library(videos), 2)
    for shard_id in ids:
        shelf.keep(shard_id)
    return shelf.publish(ids, **options).snapshot_id


def videos_of(opened: Snapshot) -> list[str]:
    return [video.video_id for video in opened.records.videos()]


def test_what_one_machine_publishes_another_finds(machine, stores: StoreSettings, tmp_path: Path) -> None:
    kitchen, reader = machine("kitchen"), machine("reader")
    assert reader.follow() is None and reader.current() is None
    one = publish(kitchen, 2)
    two = publish(kitchen, 4, expect=one)
    assert reader.follow() == two == reader.current() == reader.here()
    with reader.open(two) as there, Snapshot.open(kitchen.folder, two) as here:
        assert len(there.records) == len(there.text) == len(there.vectors) == 40
        scores, ids = there.text.best(CLAUSES, limit=50)
        own_scores, own_ids = here.text.best(CLAUSES, limit=50)
        assert ids.tolist() == own_ids.tolist() and scores == pytest.approx(own_scores, rel=1e-3)
    settings = Settings(home=tmp_path / "x", stores=stores, _env_file=None)
    shards = [ref.shard_id for ref in reader.manifest(two).shards]
    assert len(PostgresRecords(open_database(settings), shards)) == 40
    assert open_text_indexes(settings).snapshots() == sorted([one, two])
    assert [(move.snapshot_id, move.reason) for move in reader.history()] == [(one, "publish"), (two, "publish")]


def test_a_shard_sealed_elsewhere_is_published_here(machine) -> None:
    sealer, publisher = machine("sealer"), machine("publisher")
    ids = seal_all(sealer.folder, make_library(3), 2)
    for shard_id in ids:
        sealer.keep(shard_id)
    sealed = publisher.publish(ids)
    assert sealed.frames == 30 and sealer.follow() == sealed.snapshot_id


def test_of_two_publishers_one_wins_and_the_other_changes_nothing(machine) -> None:
    first, second = machine("first"), machine("second")
    one = publish(first, 1, expect=None)
    with pytest.raises(PublishConflict):
        publish(second, 2, expect=None)
    assert second.current() == one and second.here() is None
    assert second.follow() == one


def test_what_opensearch_does_not_answer_is_not_published(machine) -> None:
    kitchen = machine("kitchen")
    asked: list[str] = []

    def canaries(opened: Snapshot) -> list[str]:
        asked.append(type(opened.text).__name__)
        return ["it is silent"] if len(asked) == 2 else []

    with pytest.raises(CorruptError, match="OpenSearch does not answer as it should: it is silent"):
        publish(kitchen, 1, canaries=canaries)
    assert len(set(asked)) == 2, "both engines were asked"
    assert kitchen.current() is None and kitchen.here() is None


def test_a_damaged_copy_comes_back_from_the_archive(machine) -> None:
    kitchen, reader = machine("kitchen"), machine("reader")
    one = publish(kitchen, 2)
    reader.follow()
    victim = next(reader.folder.glob("shards/*/vectors/exact.faiss"))
    victim.write_bytes(victim.read_bytes()[:-3])
    with reader.open(one) as opened:
        assert len(opened.vectors) == 20


def test_rolling_back_reaches_every_machine(machine) -> None:
    kitchen, other, reader = machine("kitchen"), machine("other"), machine("reader")
    one, two = publish(kitchen, 1), publish(kitchen, 2)
    reader.follow()
    assert other.before(two) == one
    other.rollback(one, expect=two)
    assert reader.follow() == one and kitchen.follow() == one
    with reader.open(one) as opened:
        assert videos_of(opened) == ["L00_V001"]
    with pytest.raises(NotFound):
        other.rollback("0123456789abcdef")


def test_an_erased_video_is_nowhere(machine, stores: StoreSettings, tmp_path: Path) -> None:
    kitchen, reader = machine("kitchen"), machine("reader")
    one, two = publish(kitchen, 2), publish(kitchen, 3)
    reader.follow()
    erased = kitchen.erase(["L01_V001"])
    assert set(erased.snapshots) == {one, two} and reader.follow() == erased.snapshot_id
    with reader.open(erased.snapshot_id) as opened:
        assert videos_of(opened) == ["L00_V001", "L02_V001"] and len(opened.text) == 20
    settings = Settings(home=tmp_path / "x", stores=stores, _env_file=None)
    archive = open_archive(settings)
    assert not archived.holding(archive, ["L01_V001"]) and archived.erased(archive) == ["L01_V001"]
    assert list(archived.snapshots(archive)) == open_text_indexes(settings).snapshots() == [erased.snapshot_id]
    rows = open_database(settings).transaction(
        lambda db: db.execute("SELECT video_id FROM videos ORDER BY 1").fetchall()
    )
    assert [row[0] for row in rows] == ["L00_V001", "L02_V001"]
    for folder in (kitchen.folder, reader.folder):
        texts = b"".join(path.read_bytes() for path in folder.rglob("records.jsonl"))
        assert b"L01_V001" not in texts and b"L02_V001" in texts
    with pytest.raises(NotFound):
        kitchen.rollback(two)
    assert kitchen.erase(["L01_V001"]).snapshots == (), "again: nothing is left to do"


def test_a_collection_takes_what_nothing_names_a_day_later(machine, stores: StoreSettings, tmp_path: Path) -> None:
    kitchen = machine("kitchen")
    first, *_, last = [publish(kitchen, n) for n in (1, 2, 3)]
    unpublished = seal_all(kitchen.folder, [make_input("L09_V009")], 1)[0]
    kitchen.keep(unpublished)
    archive = open_archive(Settings(home=tmp_path / "x", stores=stores, _env_file=None))
    shards = set(archived.shard_ids(archive))
    assert kitchen.collect(2, also=[unpublished]).snapshots == (), "it is not a day yet"
    kept = [move.snapshot_id for move in kitchen.history()][-2:]
    gone = archived.collect(archive, kept, [unpublished], min_age_s=0)
    assert gone.snapshots == (first,)
    assert set(archived.shard_ids(archive)) == shards - set(gone.shards) and unpublished not in gone.shards
    kitchen.collect(2, also=[unpublished])
    assert first not in open_text_indexes(Settings(stores=stores, _env_file=None)).snapshots()
    reader = machine("reader")
    assert reader.follow() == last
    with reader.open(last) as opened:
        assert len(opened.records) == 30
