"""Sealed records of many parts asked as one store. What a part's files are is records_part.py; vectors and text are elsewhere.

DuckDB reads the flat rows once, at opening: conditions and counts are then columns in memory, whole records mapped lines.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from khung.errors import CorruptError, NotFound
from khung.records import FrameRecord, SealedRecord, Shot, Video
from khung.stores import FrameFilter, Timeline, tables
from khung.stores.facet_columns import FacetColumns
from khung.stores.records_part import (
    FRAMES,
    LISTS,
    SCALARS,
    SHOTS,
    VIDEOS,
    FrameRow,
    RecordFile,
    by_video,
    checked_facet,
    facets_of,
    record_reader,
    row_of,
    write_part,
)

__all__ = ["DuckRecords", "facets_of", "row_of", "write_part"]


class DuckRecords:
    """A RecordStore over the parts in `folders`. Thread-safe: each question has a cursor of its own."""

    def __init__(self, folders: Sequence[Path]) -> None:
        import duckdb

        self._records, self._read = [RecordFile(Path(folder)) for folder in folders], record_reader()
        self._db = duckdb.connect(config={"threads": 1})  # many requests, each on one thread
        try:
            self._load([Path(folder) for folder in folders])
        except duckdb.Error as error:
            raise CorruptError(f"The frames' table cannot be read: {error}") from error
        self._videos = by_video(VIDEOS, Video, folders)
        self._shots = by_video(SHOTS, Shot, folders)
        self._timeline, self._part, row = self._read_timeline()
        self._begin, self._end = self._bounds(row)
        self._starts = np.searchsorted(self._timeline.video_index, np.arange(len(self._timeline.videos) + 1))
        self._video_number = {name: number for number, name in enumerate(self._timeline.videos)}
        self._by_id = np.argsort(self._timeline.vector_ids, kind="stable")
        self._ids = self._timeline.vector_ids[self._by_id]

    def __len__(self) -> int:
        return len(self._part)

    def close(self) -> None:
        self._db.close()

    # -- records

    def frame(self, frame_id: str) -> FrameRecord:
        return self.frames([frame_id])[0]

    def frames(self, frame_ids: Sequence[str]) -> list[FrameRecord]:
        return self.at([self._position(frame_id) for frame_id in frame_ids])

    def at(self, positions: Sequence[int]) -> list[FrameRecord]:
        return self._read(self._lines(positions))

    def sealed(self, positions: Sequence[int]) -> list[SealedRecord]:
        return [SealedRecord(line, self._read) for line in self._lines(positions)]

    def frames_of(self, video_id: str) -> list[FrameRecord]:
        if video_id not in self._videos:
            return []
        number = self._video_number[video_id]
        return self.at(range(self._starts[number], self._starts[number + 1]))

    def videos(self) -> list[Video]:
        return [self._videos[name][0] for name in self._timeline.videos]

    def video(self, video_id: str) -> Video:
        if video_id not in self._videos:
            error = NotFound(f"There is no video {video_id[:120]} in this snapshot.")
            raise error.known_as("no_video", video=video_id[:120])
        return self._videos[video_id][0]

    def shots(self, video_id: str) -> list[Shot]:
        return self._shots.get(video_id, [])

    def timeline(self) -> Timeline:
        return self._timeline

    def _lines(self, positions: Sequence[int]) -> list[bytes]:
        where = [of[positions].tolist() for of in (self._part, self._begin, self._end)]
        return [self._records[part].data[begin:end] for part, begin, end in zip(*where, strict=True)]

    def _position(self, frame_id: str) -> int:
        video_id, _, index = frame_id.rpartition("/")
        number = self._video_number.get(video_id, -1)
        if number >= 0 and index.isascii() and index.isdigit() and len(index) < 10:
            start, end = self._starts[number : number + 2]
            position = start + int(np.searchsorted(self._timeline.frame_index[start:end], int(index)))
            if position < end and f"{video_id}/{self._timeline.frame_index[position]}" == frame_id:
                return position
        error = NotFound(f"There is no frame {frame_id[:140]} in this snapshot.")
        raise error.known_as("no_frame", frame=frame_id[:140])

    # -- conditions and counts

    def allowed(self, where: FrameFilter) -> np.ndarray:
        """Ascending."""
        mask = self._passing(where)
        return self._timeline.vector_ids[self._by_id[mask[self._by_id]]]

    def facet_counts(self, vector_ids: np.ndarray | None = None) -> dict[str, dict[str, int]]:
        """The most frequent value first; `unknown` is no value."""
        positions = None if vector_ids is None else self._positions(np.asarray(vector_ids, np.int64))
        return self._facets.count(positions)

    def facet_counts_at(self, positions: np.ndarray) -> dict[str, dict[str, int]]:
        return self._facets.count(positions)

    def _passing(self, where: FrameFilter) -> np.ndarray:
        """bool (n,) by position. Raises QueryError for a field that has no facet."""
        pts, facets = self._timeline.pts_ms, self._facets
        mask = np.ones(len(self), bool)
        if where.videos:
            mask &= self._of_videos(where.videos)
        if where.not_videos:
            mask &= ~self._of_videos(where.not_videos)
        if where.from_ms is not None:
            mask &= pts >= where.from_ms
        if where.to_ms is not None:
            mask &= pts < where.to_ms
        if where.objects:
            mask &= facets.holding_all("objects", where.objects)
        if where.not_objects:
            mask &= ~facets.holding("objects", where.not_objects)
        for name, words in where.facets.items():
            mask &= facets.holding(checked_facet(name), words)
        return mask

    def _of_videos(self, names: Sequence[str]) -> np.ndarray:
        mask = np.zeros(len(self), bool)
        for number in (self._video_number[name] for name in names if name in self._video_number):
            mask[self._starts[number] : self._starts[number + 1]] = True
        return mask

    def _positions(self, ids: np.ndarray) -> np.ndarray:
        """Of the ids that are here, each once."""
        if not len(self):
            return np.zeros(0, np.int64)
        ids = np.sort(ids)  # over a few hundred a third of the time that np.unique takes
        ids = ids[np.flatnonzero(np.diff(ids, prepend=-1))]
        at = np.minimum(np.searchsorted(self._ids, ids), len(self) - 1)
        return self._by_id[at[self._ids[at] == ids]]

    @cached_property
    def _facets(self) -> FacetColumns:
        """Made when first asked for; two threads may make it twice, and it is the same."""
        columns = ", ".join((*LISTS, *SCALARS))
        with self._db.cursor() as cursor:
            rows = cursor.sql(f"SELECT {columns} FROM frames ORDER BY video_id, frame_index")
            return FacetColumns(rows.to_arrow_table())

    # -- opening

    def _load(self, folders: Sequence[Path]) -> None:
        empty = tables.to_table([], FrameRow)
        self._db.register("empty", empty)
        self._db.execute("CREATE TABLE frames AS SELECT 0::INTEGER AS part, 0::BIGINT AS row, * FROM empty")
        self._db.unregister("empty")
        for number, folder in enumerate(folders):
            tables.check_file(folder / FRAMES, FrameRow)
            self._db.execute(
                "INSERT INTO frames BY NAME SELECT $part AS part, file_row_number AS row, * EXCLUDE (file_row_number) "
                "FROM read_parquet($path, file_row_number = true)",
                {"part": number, "path": str(folder / FRAMES)},
            )

    def _bounds(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the record of each position begins and ends in its part, int64 (n,) bytes; `rows` within the parts."""
        begin, end = np.zeros((2, len(rows)), np.int64)
        for number, part in enumerate(self._records):
            of_part = self._part == number
            if np.count_nonzero(of_part) != len(part.offsets) - 1:
                raise CorruptError("The frames' table has not as many rows as there are records.")
            begin[of_part] = part.offsets[rows[of_part]]
            end[of_part] = part.offsets[rows[of_part] + 1] - 1  # without the line's end
        return begin, end

    def _read_timeline(self) -> tuple[Timeline, np.ndarray, np.ndarray]:
        rows = self._columns(
            "SELECT part, row, vector_id, video_id, frame_index, pts_ms, shot_index, phash FROM frames ORDER BY video_id, frame_index"
        )
        names = tuple(sorted(self._videos))
        if extra := set(rows["video_id"]) - set(names):
            raise CorruptError(f"Frames of {min(extra)}, which is not among the videos.")
        timeline = Timeline(
            vector_ids=rows["vector_id"].astype(np.int64),
            video_index=np.searchsorted(np.array(names, str), rows["video_id"].astype(str)).astype(np.int32),
            frame_index=rows["frame_index"].astype(np.int32),
            pts_ms=rows["pts_ms"].astype(np.int32),
            shot_index=rows["shot_index"].astype(np.int32),
            phash=rows["phash"].astype(np.uint64),
            videos=names,
            duration_ms=np.array([self._videos[name][0].duration_ms for name in names], np.int32),
        )
        return timeline, rows["part"].astype(np.int64), rows["row"].astype(np.int64)

    def _columns(self, sql: str, values: dict[str, Any] | None = None) -> dict[str, np.ndarray]:
        with self._db.cursor() as cursor:
            return cursor.execute(sql, values or None).fetchnumpy()
