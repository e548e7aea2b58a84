"""What every RecordStore promises."""

import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import servers
from sample_frames import make_records, make_shots, make_video

from khung.errors import NotFound, QueryError
from khung.records import FrameRecord, Shot, Video, vector_id
from khung.stores import FrameFilter, RecordStore, tables
from khung.stores.postgres import Postgres
from khung.stores.records_duckdb import DuckRecords, write_part
from khung.stores.records_postgres import PostgresRecords, load_part

VIDEOS = {"L01_V001": 12, "L01_V002": 10, "a-b": 7, "still": 0}
MakeStore = Callable[..., RecordStore]


@pytest.fixture(params=["duckdb", pytest.param("postgres", marks=pytest.mark.services)])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeStore]:
    """`make_store(parts)`: each part a list of video ids."""
    databases: list[Postgres] = []

    def contents(names: list[str]) -> tuple[list[Video], list[Shot], list[FrameRecord]]:
        names = sorted(names)
        return (
            [make_video(name, VIDEOS[name]) for name in names],
            [shot for name in names for shot in make_shots(name, VIDEOS[name])],
            [record for name in names for record in make_records(name, VIDEOS[name])],
        )

    def duckdb(parts: list[list[str]]) -> RecordStore:
        folders = [tmp_path / secrets.token_hex(4) for _ in parts]
        for folder, names in zip(folders, parts, strict=True):
            folder.mkdir()
            write_part(folder, *contents(names))
        return DuckRecords(folders)

    def postgres(parts: list[list[str]]) -> RecordStore:
        database = Postgres(servers.shared("postgres"), schema=f"t{secrets.token_hex(6)}", max_size=3)
        databases.append(database)
        load_part(database, "of-another-snapshot", *contents(["L01_V001"]))
        for number, names in enumerate(parts):
            load_part(database, f"part{number}", *contents(names))
        return PostgresRecords(database, [f"part{number}" for number in range(len(parts))])

    yield {"duckdb": duckdb, "postgres": postgres}[request.param]
    for database in databases:
        database.close()


@pytest.fixture(params=[[["L01_V001", "L01_V002", "a-b", "still"]], [["a-b", "L01_V001"], [], ["still"], ["L01_V002"]]])
def store(request: pytest.FixtureRequest, make_store: MakeStore) -> RecordStore:
    return make_store(request.param)


def test_records_at_positions_are_those_of_the_timeline(store: RecordStore) -> None:
    timeline = store.timeline()
    order = list(range(len(store)))[::-3]
    expected = [f"{timeline.videos[timeline.video_index[at]]}/{timeline.frame_index[at]}" for at in order]
    assert [record.frame_id for record in store.at(order)] == expected
    assert store.at([]) == []


def test_sealed_records_are_the_same_unread(store: RecordStore) -> None:
    order = np.arange(len(store))[::-3]
    records, sealed = store.at(order), store.sealed(order)
    assert [one.json for one in sealed] == [tables.to_json(record) for record in records]
    assert [one.record for one in sealed] == records
    assert sealed[0].record is sealed[0].record  # read once
    assert store.sealed([]) == []


ALL = [record for name in sorted(VIDEOS) for record in make_records(name, VIDEOS[name])]


def ids_where(keep: Callable[[FrameRecord], bool]) -> list[int]:
    return sorted(vector_id(r.frame_id) for r in ALL if keep(r))


def objects(record: FrameRecord) -> set[str]:
    return {region.label for region in record.description.objects}


def test_records_come_back_whole(store: RecordStore) -> None:
    assert len(store) == len(ALL) == 29
    for record in ALL:
        assert store.frame(record.frame_id) == record
    some = [ALL[i].frame_id for i in (20, 3, 3, 28)]
    assert [r.frame_id for r in store.frames(some)] == some
    assert store.frames([]) == []
    assert store.frames_of("L01_V002") == make_records("L01_V002", 10)


@pytest.mark.parametrize(
    "frame_id",
    ["L01_V001/1", "L01_V001/00", "L01_V001/-0", "L01_V001", "nope/0", "", "/", "L01_V001/ 0", "L01_V001/²", "still/0",
     "L01_V001/99999999999999999999", "../../etc/passwd", "' OR 1=1 --/0", "L01_V001/0\n"],
)  # fmt: skip
def test_a_frame_that_is_not_there(store: RecordStore, frame_id: str) -> None:
    with pytest.raises(NotFound):
        store.frame(frame_id)
    with pytest.raises(NotFound):
        store.frames([ALL[0].frame_id, frame_id])


def test_videos_and_shots(store: RecordStore) -> None:
    assert [v.video_id for v in store.videos()] == sorted(VIDEOS)
    assert store.video("a-b") == make_video("a-b", 7)
    assert store.shots("L01_V001") == make_shots("L01_V001", 12)
    assert store.frames_of("still") == store.shots("still") == store.shots("nope") == store.frames_of("nope") == []
    with pytest.raises(NotFound):
        store.video("nope")


def test_the_timeline(store: RecordStore) -> None:
    line = store.timeline()
    assert line.videos == tuple(sorted(VIDEOS))
    assert [line.videos[i] for i in line.video_index] == [r.video_id for r in ALL]
    assert line.vector_ids.tolist() == [vector_id(r.frame_id) for r in ALL]
    assert line.frame_index.tolist() == [r.keyframe.frame_index for r in ALL]
    assert line.pts_ms.tolist() == [r.pts_ms for r in ALL]
    assert line.shot_index.tolist() == [r.keyframe.shot_index for r in ALL]
    assert line.phash.tolist() == [r.keyframe.phash for r in ALL]
    assert line.duration_ms.tolist() == [VIDEOS[name] * 1000 for name in sorted(VIDEOS)]
    types = {name: getattr(line, name).dtype.name for name in line.__slots__ if name != "videos"}
    assert types == {
        "vector_ids": "int64", "video_index": "int32", "frame_index": "int32", "pts_ms": "int32",
        "shot_index": "int32", "phash": "uint64", "duration_ms": "int32",
    }  # fmt: skip


CONDITIONS: list[tuple[FrameFilter, Callable[[FrameRecord], bool]]] = [
    (FrameFilter(), lambda r: True),
    (FrameFilter(videos=("a-b", "L01_V002", "nope")), lambda r: r.video_id in {"a-b", "L01_V002"}),
    (FrameFilter(not_videos=("a-b",)), lambda r: r.video_id != "a-b"),
    (FrameFilter(from_ms=3000), lambda r: r.pts_ms >= 3000),
    (FrameFilter(from_ms=3000, to_ms=6000), lambda r: 3000 <= r.pts_ms < 6000),
    (FrameFilter(from_ms=0, to_ms=0), lambda r: False),
    (FrameFilter(to_ms=2**62), lambda r: True),
    (FrameFilter(objects=("person",)), lambda r: "person" in objects(r)),
    (FrameFilter(objects=("person", "dog")), lambda r: {"person", "dog"} <= objects(r)),
    (FrameFilter(not_objects=("person", "dog")), lambda r: not {"person", "dog"} & objects(r)),
    (FrameFilter(facets={"scene_type": ("street", "beach")}), lambda r: r.description.scene_type in {"street", "beach"}),
    (FrameFilter(facets={"colors": ("red",), "place": ("outdoor",)}), lambda r: "red" in r.description.colors),
    (FrameFilter(facets={"labels": ("office", "street")}), lambda r: r.description.labels[0][0] in {"office", "street"}),
    (FrameFilter(facets={"weather": ("rain",)}), lambda r: False),
    (FrameFilter(videos=("L01_V001",), from_ms=1, objects=("person",), facets={"place": ("indoor",)}),
     lambda r: r.video_id == "L01_V001" and r.pts_ms > 0 and "person" in objects(r) and r.description.place == "indoor"),
    (FrameFilter(objects=("' OR 1=1 --",)), lambda r: False),
]  # fmt: skip


@pytest.mark.parametrize(("where", "keep"), CONDITIONS)
def test_conditions(store: RecordStore, where: FrameFilter, keep: Callable[[FrameRecord], bool]) -> None:
    allowed = store.allowed(where)
    assert allowed.dtype == np.int64
    assert allowed.tolist() == ids_where(keep)


def test_a_field_without_facet_is_refused(store: RecordStore) -> None:
    for name in ("captions", "vector_id", "place) OR (1=1", ""):
        with pytest.raises(QueryError):
            store.allowed(FrameFilter(facets={name: ("x",)}))


def count(records: list[FrameRecord], words: Callable[[FrameRecord], set[str]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for record in records:
        for word in words(record) - {"unknown"}:
            found[word] = found.get(word, 0) + 1
    return found


def test_facet_counts(store: RecordStore) -> None:
    for records, counts in [
        (ALL, store.facet_counts()),
        (ALL, store.facet_counts()),
        (ALL[3:9], store.facet_counts(np.array([vector_id(r.frame_id) for r in ALL[3:9]]))),
        ([], store.facet_counts(np.zeros(0, np.int64))),
        (ALL[3:9], store.facet_counts_at(np.array([8, 3, 4, 5, 6, 7]))),
        ([], store.facet_counts_at(np.zeros(0, np.int64))),
    ]:
        assert counts["objects"] == count(records, objects)
        assert counts["scene_type"] == count(records, lambda r: {r.description.scene_type})
        assert counts["colors"] == count(records, lambda r: set(r.description.colors))
        assert counts["weather"] == counts["emotions"] == {}
        assert list(counts["objects"].values()) == sorted(counts["objects"].values(), reverse=True)


def test_an_empty_library(make_store: MakeStore) -> None:
    for store in (make_store([]), make_store([[], []])):
        assert len(store) == 0 and store.videos() == []
        assert store.allowed(FrameFilter()).tolist() == []
        assert store.facet_counts()["objects"] == {}
        assert len(store.timeline().vector_ids) == len(store.timeline().videos) == 0
        with pytest.raises(NotFound):
            store.frame("L01_V001/0")


def test_many_threads_get_the_same_answers(store: RecordStore) -> None:
    def ask(number: int) -> bool:
        record = ALL[number % len(ALL)]
        where, keep = CONDITIONS[number % len(CONDITIONS)]
        return store.frame(record.frame_id) == record and store.allowed(where).tolist() == ids_where(keep)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(120)))
