"""A library of invented frames in real sealed stores, for the search benchmarks. Built once per size, kept in bench/out.

Captions are drawn with Zipf's weights from the words of the test collection; vectors lie in clusters, as embeddings do.
"""

import json
import shutil
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from khung.records import Description, FrameRecord, Keyframe, Region, Shot, TextLine, Video, vector_id
from khung.stores import records_duckdb, text_tantivy, vectors_build, vectors_faiss
from khung.text import fields, tokens

OUT = Path(__file__).parent / "out"
COLLECTION = Path(__file__).parent.parent / "tests" / "search" / "data" / "captions.tsv"
DIM, PARTS, PER_VIDEO = 384, 16, 250
OBJECTS = ("person", "car", "motorcycle", "dog", "chair", "bus", "boat", "cat", "tv", "book")


def rows() -> list[list[str]]:
    return [line.split("\t") for line in COLLECTION.read_text().splitlines() if line and not line.startswith("#")]


@dataclass
class Library:
    """An open library."""

    records: records_duckdb.DuckRecords
    text: text_tantivy.TantivyText
    vectors: vectors_faiss.FaissVectors
    id: str = "bench"
    fingerprint: str = "bench"
    others: dict = field(default_factory=dict)
    normalisers: dict = field(default_factory=lambda: {"vector_text": (0.0, 0.2), "vector_image": (0.0, 0.2)})


class BenchEncoder:
    """Questions as fixed directions near a cluster's centre: looked up, for the encoder costs nothing here and is measured elsewhere."""

    fingerprint, dim = "bench", DIM

    def __init__(self) -> None:
        self._centres = _centres()
        self._beside = np.stack([_beside(seed) for seed in range(4096)])

    def embed_texts(self, texts):
        return np.stack([self._direction(hash(t)) for t in texts])

    def _direction(self, number: int) -> np.ndarray:
        at, beside = number % len(self._centres), number // len(self._centres) % len(self._beside)
        v = self._centres[at] + self._beside[beside]
        return v / np.linalg.norm(v)

    def embed_images(self, images):
        return np.stack([self._centres[0] for _ in images])


def is_built(frames: int) -> bool:
    return (OUT / f"library-{frames}" / "complete").exists()


def open_library(frames: int) -> Library:
    folder = OUT / f"library-{frames}"
    if not is_built(frames):
        folder.mkdir(parents=True, exist_ok=True)
        lists = _lists(folder / "lists.npy", frames)
        for part in range(PARTS):
            if not (folder / f"part-{part}").exists():  # a run that was stopped goes on
                _write_part(folder, part, frames, lists)
                (folder / f"part-{part}").touch()
        (folder / "complete").write_text(json.dumps({"frames": frames}))
    of = {name: [folder / name / str(part) for part in range(PARTS)] for name in ("records", "text", "vectors")}
    return Library(
        records_duckdb.DuckRecords(of["records"]),
        text_tantivy.TantivyText(of["text"]),
        vectors_faiss.FaissVectors(of["vectors"], DIM),
    )


def _write_part(folder: Path, part: int, frames: int, lists: np.ndarray) -> None:
    rng = np.random.default_rng(part)
    videos = [f"V{n:05}" for n in range(part, frames // PER_VIDEO, PARTS)]
    made = [(r, f) for v in videos for r, f in _frames(v, rng)]
    records = [r for r, _ in made]
    ids = np.array([vector_id(r.frame_id) for r in records], np.int64)
    of = {name: folder / name / str(part) for name in ("records", "text", "vectors")}
    for path in of.values():
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
    shots = [Shot(v, 0, 0, PER_VIDEO * 50, 0, PER_VIDEO * 2000) for v in videos]
    records_duckdb.write_part(of["records"], [_video(v) for v in videos], shots, records)
    text_tantivy.write_part(of["text"], zip(ids.tolist(), (f for _, f in made), strict=True))
    vectors = _vectors(part, frames)
    vectors_build.write_part(of["vectors"], ids, vectors, vectors_build.IndexPolicy(), centroids=lists)


def _lists(path: Path, frames: int) -> np.ndarray:
    if not path.exists():
        np.save(path, vectors_build.train_coarse(_vectors(0, frames), vectors_build.lists_for(frames)))
    return np.load(path)


def _vectors(part: int, frames: int) -> np.ndarray:
    """Around the centres of clusters, as the shelf's first large shard has them, too, when it makes the lists of all."""
    rng = np.random.default_rng(part)
    count = len(range(part, frames // PER_VIDEO, PARTS)) * PER_VIDEO
    centres = _centres()
    noise = rng.standard_normal((count, DIM), np.float32) * (1.2 / DIM**0.5)
    vectors = centres[rng.integers(0, len(centres), count)] + noise
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _frames(video: str, rng: np.random.Generator):
    (vi, vi_p), (en, en_p) = _vocabulary(0), _vocabulary(1)
    said_vi, said_en = rng.choice(vi, (PER_VIDEO, 15), p=vi_p), rng.choice(en, (PER_VIDEO, 12), p=en_p)
    shown_words, has_text = rng.choice(vi, (PER_VIDEO, 3), p=vi_p), rng.random(PER_VIDEO) < 0.3
    objects = rng.choice(OBJECTS, (PER_VIDEO, 3), p=_zipf(len(OBJECTS)))
    hashes = rng.integers(0, 2**63, PER_VIDEO)
    for n in range(PER_VIDEO):
        said = {"vi": " ".join(said_vi[n]), "en": " ".join(said_en[n])}
        shown = " ".join(shown_words[n]).upper() if has_text[n] else ""
        found = tuple(Region(o, 0.9, (0, 0, 1, 1)) for o in objects[n].tolist())
        key = Keyframe(video, 50 * n, 2000 * n, n // 3, 0.5, 0.1, 0.1, 0.5, int(hashes[n]))
        record = FrameRecord(key, 0, 2000, Description(said, objects=found, place="outdoor" if n % 2 else "indoor"), (TextLine(shown, 0.9, (0, 0, 1, 1)),) if shown else ())  # fmt: skip
        yield record, fields(said["vi"], said["en"], shown)


@cache
def _vocabulary(column: int) -> tuple[np.ndarray, np.ndarray]:
    """The words of one language with their shares."""
    words = np.array(sorted({w for row in rows() for w in tokens(row[column])}))
    return words, _zipf(len(words))


def _video(name: str) -> Video:
    ms = PER_VIDEO * 2000
    return Video(name, "0" * 64, name, name, 1, "mp4", "h264", 320, 180, 0, 25, 1, False, PER_VIDEO * 50, ms, False)


def _zipf(n: int) -> np.ndarray:
    weights = 1 / np.arange(2, n + 2) ** 0.8
    return weights / weights.sum()


def _centres() -> np.ndarray:
    centres = np.random.default_rng(7).standard_normal((500, DIM)).astype(np.float32)
    return centres / np.linalg.norm(centres, axis=1, keepdims=True)


def _near(centre: np.ndarray, seed: int) -> np.ndarray:
    v = centre + _beside(seed)
    return (v / np.linalg.norm(v)).astype(np.float32)


def _beside(seed: int) -> np.ndarray:
    """A step away from a centre."""
    return np.random.default_rng(seed % 2**32).standard_normal(DIM).astype(np.float32) * (0.8 / DIM**0.5)
