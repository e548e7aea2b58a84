"""A small library in real stores (DuckDB, tantivy, FAISS), built from captions; the encoder is an honest bag of words.

No trained model runs here: `WordEmbedder` hashes words to directions, so that texts with common words are near one another in both
languages' own words. It is enough to see channels work together; what real models find is tested where they live.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from khung.records import Description, FrameRecord, Keyframe, Region, Shot, TextLine, Video
from khung.stores import records_duckdb, text_tantivy, vectors_build, vectors_faiss
from khung.text import fields, fold, tokens

DIM = 64


def direction(word: str) -> np.ndarray:
    """A fixed random direction for a word."""
    seed = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big")
    return np.random.default_rng(seed).standard_normal(DIM).astype(np.float32)


class WordEmbedder:
    """Texts as the sum of their words' directions; an image as the direction of the word in its first pixel."""

    fingerprint = "words-1"
    dim = DIM

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        return np.stack([_unit(sum((direction(fold(t)) for t in tokens(text)), np.full(DIM, 1e-3))) for text in texts])

    def embed_images(self, images: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack([_unit(direction(f"pixel {image[0, 0].tolist()}")) for image in images])


def _unit(v: np.ndarray) -> np.ndarray:
    return (v / np.linalg.norm(v)).astype(np.float32)


@dataclass(frozen=True)
class Frame:
    """What a test says of a frame."""

    video: str
    second: float
    vi: str = ""
    en: str = ""
    shown: str = ""
    objects: tuple[str, ...] = ()
    facets: Mapping[str, object] = field(default_factory=dict)
    shot: int | None = None
    phash: int | None = None
    vector: np.ndarray | None = None


def record(frame: Frame) -> FrameRecord:
    ms = round(frame.second * 1000)
    shot = ms // 5000 if frame.shot is None else frame.shot
    phash = int.from_bytes(hashlib.blake2b(f"{frame.video}{ms}".encode(), digest_size=8).digest(), "big")
    keyframe = Keyframe(
        frame.video, ms // 40, ms, shot, 0.5, 0.1, 0.1, 0.5, phash if frame.phash is None else frame.phash
    )
    box = (0.1, 0.1, 0.5, 0.5)
    return FrameRecord(
        keyframe,
        shot * 5000,
        shot * 5000 + 5000,
        Description(
            captions={"vi": frame.vi, "en": frame.en},
            objects=tuple(Region(label, 0.9, box) for label in frame.objects),
            **frame.facets,
        ),
        (TextLine(frame.shown, 0.9, box),) if frame.shown else (),
    )


@dataclass
class LittleSnapshot:
    """An open snapshot over real stores."""

    records: records_duckdb.DuckRecords
    text: text_tantivy.TantivyText
    vectors: vectors_faiss.FaissVectors
    id: str = "s-test"
    fingerprint: str = WordEmbedder.fingerprint
    normalisers: Mapping[str, object] = field(default_factory=dict)
    others: Mapping[str, vectors_faiss.FaissVectors] = field(default_factory=dict)


def build(folder: Path, frames: Sequence[Frame], parts: int = 2) -> LittleSnapshot:
    """The frames in `parts` sealed parts; videos last ten seconds longer than their last frame."""
    embedder = WordEmbedder()
    names = sorted({f.video for f in frames})
    folders = []
    for part in range(parts):
        mine = [f for f in frames if names.index(f.video) % parts == part]
        records = sorted(map(record, mine), key=lambda r: (r.video_id, r.keyframe.frame_index))
        by_id = {record(f).frame_id: f for f in mine}
        of = {name: folder / name / str(part) for name in ("records", "text", "vectors")}
        for path in of.values():
            path.mkdir(parents=True)
        folders.append(of)
        records_duckdb.write_part(
            of["records"], [_video(n, mine) for n in names if names.index(n) % parts == part], _shots(mine), records
        )
        ids = np.array([records_duckdb.row_of(r).vector_id for r in records], np.int64)
        texts = [
            (int(i), fields(f.vi, f.en, f.shown))
            for i, f in ((i, by_id[r.frame_id]) for i, r in zip(ids, records, strict=True))
        ]
        text_tantivy.write_part(of["text"], texts)
        vectors = [_vector(by_id[r.frame_id], embedder) for r in records]
        stacked = np.stack(vectors) if vectors else np.zeros((0, DIM), np.float32)
        vectors_build.write_part(of["vectors"], ids, stacked, vectors_build.IndexPolicy())
    return LittleSnapshot(
        records_duckdb.DuckRecords([f["records"] for f in folders]),
        text_tantivy.TantivyText([f["text"] for f in folders]),
        vectors_faiss.FaissVectors([f["vectors"] for f in folders], DIM),
    )


def _vector(frame: Frame, embedder: WordEmbedder) -> np.ndarray:
    if frame.vector is not None:
        return frame.vector
    return embedder.embed_texts([f"{frame.vi} {frame.en}"])[0]


def _video(name: str, frames: Sequence[Frame]) -> Video:
    duration = round(max(f.second for f in frames if f.video == name) * 1000) + 10_000
    return Video(
        name,
        "0" * 64,
        f"{name}.mp4",
        f"media/{name}.mp4",
        1,
        "mp4",
        "h264",
        320,
        180,
        0,
        25,
        1,
        False,
        duration // 40,
        duration,
        False,
    )


def _shots(frames: Sequence[Frame]) -> list[Shot]:
    keys = sorted({(r.video_id, r.keyframe.shot_index) for r in map(record, frames)})
    return [Shot(video, shot, shot * 125, shot * 125 + 125, shot * 5000, shot * 5000 + 5000) for video, shot in keys]


STREET = (
    Frame("street", 0, "Một người đàn ông mặc áo đỏ đi bộ trên phố.", "A man in a red shirt walks on the street.", "PHỞ HÀ NỘI", ("person",), {"colors": ("red",), "place": "outdoor", "time_of_day": "day"}),
    Frame("street", 10, "Hai chiếc ô tô chờ đèn giao thông.", "Two cars wait at a traffic light.", "51F-123.45", ("car", "car", "traffic light"), {"place": "outdoor", "time_of_day": "day"}),
    Frame("street", 20, "Một con chó chạy qua đường ban đêm.", "A dog runs across the road at night.", "", ("dog",), {"place": "outdoor", "time_of_day": "night"}),
    Frame("street", 40, "Xe buýt màu xanh dừng ở bến.", "A blue bus stands at the stop.", "BẾN THÀNH", ("bus", "person"), {"colors": ("blue",), "place": "outdoor"}),
    Frame("kitchen", 0, "Người phụ nữ nấu ăn trong bếp.", "A woman cooks in a kitchen.", "", ("person", "bowl"), {"place": "indoor"}),
    Frame("kitchen", 15, "Bàn ăn có bát phở và ly nước.", "A table with a bowl of noodle soup and a glass of water.", "", ("bowl", "cup", "dining table"), {"place": "indoor"}),
    Frame("kitchen", 30, "Con mèo ngủ trên ghế.", "A cat sleeps on a chair.", "", ("cat", "chair"), {"place": "indoor"}),
    Frame("kitchen", 150, "Một con chó chạy vào bếp.", "A dog runs into the kitchen.", "", ("dog",), {"place": "indoor"}),
    Frame("sea", 5, "Bãi biển lúc hoàng hôn, thuyền đánh cá.", "A beach at sunset with fishing boats.", "", ("boat", "boat", "boat"), {"place": "outdoor", "time_of_day": "dusk"}),
    Frame("sea", 30, "Trẻ em đá bóng trên bãi biển.", "Children play football on the beach.", "", ("person", "person", "sports ball"), {"place": "outdoor"}),
    Frame("sea", 60, "Phát thanh viên nói về bão trên biển.", "A news reader speaks of a storm at sea.", "THỜI SỰ 19H", ("person", "tie"), {"place": "indoor"}),
)  # fmt: skip


@pytest.fixture(scope="session")
def street(tmp_path_factory) -> LittleSnapshot:
    return build(tmp_path_factory.mktemp("street"), STREET)


@pytest.fixture(scope="session")
def embedder() -> WordEmbedder:
    return WordEmbedder()
