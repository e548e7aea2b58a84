"""A small invented library, the same for every test that asks: videos, shots, records and vectors without any model."""

import numpy as np

from khung.records import Description, FrameRecord, Keyframe, Region, Shot, TextLine, Video

DIM = 16
BOX = (0.1, 0.2, 0.5, 0.9)
SCENES = [
    ("một người đàn ông mặc áo đỏ đi bộ trên phố", "a man in a red shirt walks on the street", "person", "street"),
    ("hai chiếc xe máy chạy qua cầu", "two motorbikes cross a bridge", "motorbike", "bridge"),
    ("bàn làm việc trong văn phòng", "a desk in an office", "desk", "office"),
    ("con chó chạy trên bãi biển", "a dog runs on the beach", "dog", "beach"),
    ("người dẫn chương trình đọc tin", "a presenter reads the news", "person", "studio"),
]


def make_video(video_id: str, frames: int = 10) -> Video:
    content = video_id.encode().hex().ljust(64, "0")[:64]
    return Video(video_id, content, f"{video_id}.mp4", f"media/{video_id}.mp4", 1000, "mp4", "h264", 320, 180, 0, 25, 1,
                 False, frames * 25, frames * 1000, False)  # fmt: skip


def make_shots(video_id: str, frames: int = 10) -> list[Shot]:
    starts = range(0, frames, 5)
    return [
        Shot(video_id, i, s * 25, min(s + 5, frames) * 25, s * 1000, min(s + 5, frames) * 1000)
        for i, s in enumerate(starts)
    ]


def make_record(video_id: str, second: int) -> FrameRecord:
    """Second `n` of a video shows scene `n % 5`; every tenth shows on-screen text."""
    vi, en, thing, scene = SCENES[second % len(SCENES)]
    shot = second // 5
    return FrameRecord(
        Keyframe(video_id, second * 25, second * 1000, shot, 0.5, 0.25, 0.125, 0.75, hash_bits(video_id, second)),
        shot * 5000,
        (shot + 1) * 5000,
        Description(
            captions={"vi": vi, "en": en},
            objects=(
                Region(thing, 0.9, BOX),
                Region(thing, 0.5, BOX),
                *([Region("person", 0.4, BOX)] if second % 4 == 0 else []),
            ),
            labels=((scene, 0.7),),
            colors=("red",) if second % 5 == 0 else (),
            scene_type=scene,
            place="outdoor" if scene in {"street", "bridge", "beach"} else "indoor",
        ),
        (TextLine("THỜI SỰ 19h", 0.9, BOX),) if second % 10 == 0 else (),
        {"embedder": "sample-embedder"},
    )


def make_records(video_id: str, frames: int = 10) -> list[FrameRecord]:
    return [make_record(video_id, second) for second in range(frames)]


def make_vectors(count: int, *, dim: int = DIM, seed: int = 0, clusters: int = 0) -> np.ndarray:
    """`(count, dim)` unit vectors, evenly spread or around `clusters` centres."""
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(count, dim))
    if clusters:
        centres = random.normal(size=(clusters, dim)) * 2
        vectors += centres[random.integers(0, clusters, count)]
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def hash_bits(video_id: str, second: int) -> int:
    return (hash_of(video_id) * 2654435761 + second * 40503) % 2**64


def hash_of(text: str) -> int:
    return int.from_bytes(text.encode()[:7], "big")
