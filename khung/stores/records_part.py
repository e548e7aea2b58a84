"""The files of one sealed part of records: flat Parquet for conditions and counts, mapped JSON lines for whole records.

A part holds `frames.parquet` (one flat row a frame: what conditions ask for), `records.jsonl` with `record_offsets.npy` (the records
themselves, fetched by place: a page of fifty needs no column of a million), `videos.parquet` and `shots.parquet`. Asking many parts
is records_duckdb.py.
"""

import mmap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from khung.errors import CorruptError, QueryError
from khung.records import FrameRecord, Shot, Video, vector_id
from khung.stores import tables
from khung.stores.arrays import load

FRAMES, RECORDS, OFFSETS = "frames.parquet", "records.jsonl", "record_offsets.npy"
VIDEOS, SHOTS = "videos.parquet", "shots.parquet"
LISTS = ("objects", "labels", "actions", "emotions", "colors")
SCALARS = ("scene_type", "time_of_day", "weather", "place")


@dataclass(frozen=True, slots=True)
class FrameRow:
    """The flat row of a frame: its place in time and every word that a condition may ask for."""

    vector_id: int
    video_id: str
    frame_index: int
    pts_ms: int
    shot_index: int
    phash: int
    importance: float
    objects: tuple[str, ...]
    labels: tuple[str, ...]
    actions: tuple[str, ...]
    emotions: tuple[str, ...]
    colors: tuple[str, ...]
    scene_type: str
    time_of_day: str
    weather: str
    place: str


def row_of(record: FrameRecord) -> FrameRow:
    k, d = record.keyframe, record.description
    return FrameRow(
        vector_id=vector_id(record.frame_id),
        video_id=k.video_id,
        frame_index=k.frame_index,
        pts_ms=k.pts_ms,
        shot_index=k.shot_index,
        phash=k.phash,
        importance=k.importance,
        objects=_words(r.label for r in d.objects),
        labels=_words(label for label, _ in d.labels),
        actions=_words(d.actions),
        emotions=_words(d.emotions),
        colors=_words(d.colors),
        scene_type=d.scene_type,
        time_of_day=d.time_of_day,
        weather=d.weather,
        place=d.place,
    )


def facets_of(record: FrameRecord) -> list[tuple[str, str]]:
    """`(facet, value)` as they are counted: `unknown` is no value of a scalar."""
    row = row_of(record)
    several = [(name, word) for name in LISTS for word in getattr(row, name)]
    return several + [(name, word) for name in SCALARS if (word := getattr(row, name)) not in ("unknown", "")]


def _words(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))


def write_part(folder: Path, videos: Sequence[Video], shots: Sequence[Shot], records: Sequence[FrameRecord]) -> None:
    """Write one part into an empty folder. `records` in the order of (video_id, frame_index)."""
    lines = [tables.to_json(record) + b"\n" for record in records]
    (folder / RECORDS).write_bytes(b"".join(lines))
    np.save(folder / OFFSETS, np.cumsum([0, *map(len, lines)], dtype=np.int64))
    (folder / FRAMES).write_bytes(tables.to_parquet([row_of(r) for r in records], FrameRow))
    (folder / VIDEOS).write_bytes(tables.to_parquet(videos, Video))
    (folder / SHOTS).write_bytes(tables.to_parquet(shots, Shot))


class RecordFile:
    """The records of one part as JSON: that of a row stands in `data` from its offset to the next. Raises CorruptError."""

    def __init__(self, folder: Path) -> None:
        try:
            self.offsets = load(folder / OFFSETS)  # int64 (rows + 1,)
            self.data = _mapped(folder / RECORDS)
        except (OSError, ValueError, EOFError) as error:
            raise CorruptError(f"The records in {folder} cannot be read: {error}") from error
        if len(self.data) != self.offsets[-1]:
            raise CorruptError(f"{folder / RECORDS} is not as long as its offsets say.")


@cache
def record_reader() -> Callable[[Iterable[bytes]], list[FrameRecord]]:
    """From lines to records."""
    return tables.json_reader(FrameRecord)


def _mapped(path: Path) -> mmap.mmap | bytes:
    with open(path, "rb") as handle:
        if path.stat().st_size == 0:  # an empty file cannot be mapped
            return b""
        return mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)


def checked_facet(name: str) -> str:
    """Raises QueryError for a field that has no facet."""
    if name not in (*LISTS, *SCALARS):
        raise QueryError(f"There is no facet “{name[:40]}”.", cure=f"Use one of {', '.join((*LISTS, *SCALARS))}.")
    return name


def by_video(name: str, cls: type, folders: Sequence[Path]) -> dict[str, list]:
    found: dict[str, list] = {}
    for folder in folders:
        for row in tables.from_parquet((Path(folder) / name).read_bytes(), cls):
            found.setdefault(row.video_id, []).append(row)
    return found
