"""Sealed records in PostgreSQL: rows by shard, loaded once by COPY, asked for the shards of one snapshot.

A shard's rows come in one transaction, with its row in `shards` as the marker; nothing reads rows without it. The shards' own
files stay the origin: what is lost here is loaded again.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from khung.errors import NotFound, QueryError, StoreError
from khung.records import FrameRecord, SealedRecord, Shot, Video
from khung.stores import FrameFilter, Timeline, tables
from khung.stores.postgres import Postgres
from khung.stores.records_part import LISTS, SCALARS, record_reader, row_of

if TYPE_CHECKING:
    from psycopg import Connection

_COPY = "COPY frames (shard_id, vector_id, video_id, frame_index, pts_ms, shot_index, phash, words, record) FROM STDIN"


def load_part(
    database: Postgres, shard_id: str, videos: Sequence[Video], shots: Sequence[Shot], records: Iterable[FrameRecord]
) -> int:
    """Load a sealed shard's records; the number of frames, or 0 when they were there already. All or nothing."""
    rows = list(records)

    def work(db: "Connection[Any]") -> int:
        taken = "INSERT INTO shards (shard_id, frames) VALUES (%s, %s) ON CONFLICT DO NOTHING"
        if not db.execute(taken, (shard_id, len(rows))).rowcount:
            return 0
        with db.cursor() as cursor, cursor.copy("COPY videos (shard_id, video_id, video, shots) FROM STDIN") as copy:
            for video in videos:
                own = [shot for shot in shots if shot.video_id == video.video_id]
                copy.write_row((shard_id, video.video_id, _json(video), _json(own)))
        with db.cursor() as cursor, cursor.copy(_COPY) as copy:
            for record in rows:
                copy.write_row(_frame(shard_id, record))
        return len(rows)

    return database.transaction(work)


def drop_parts(database: Postgres, keep: Iterable[str]) -> list[str]:
    """The janitor: take away the rows of every shard but these."""
    sql = "DELETE FROM shards WHERE NOT shard_id = ANY(%s) RETURNING shard_id"
    return sorted(r[0] for r in database.transaction(lambda db: db.execute(sql, (list(keep),)).fetchall()))


def _frame(shard_id: str, record: FrameRecord) -> tuple[Any, ...]:
    row = row_of(record)
    words = {name: list(getattr(row, name)) for name in LISTS} | {name: [getattr(row, name)] for name in SCALARS}
    phash = row.phash - 2**64 if row.phash >= 2**63 else row.phash
    place = (row.video_id, row.frame_index, row.pts_ms, row.shot_index, phash)
    return shard_id, row.vector_id, *place, _json(words), _json(record)


def _json(value: Any) -> str:
    text = tables.to_json(value).decode()
    if "\\u0000" in text:
        raise StoreError(
            "A text holds the character NUL, which PostgreSQL cannot keep.", cure="Take it out of the record."
        )
    return text


class PostgresRecords:
    """A RecordStore over the rows of some shards. Raises NotFound when one of them was not loaded."""

    def __init__(self, database: Postgres, shard_ids: Sequence[str]) -> None:
        self._database = database
        self._shards = sorted(shard_ids)
        there = {r[0] for r in self._rows("SELECT shard_id FROM shards WHERE shard_id = ANY(%s)", (self._shards,))}
        if missing := [s for s in self._shards if s not in there]:
            raise NotFound(f"PostgreSQL has no shard {missing[0]}.", cure="Load it from the shelf.")
        self._timeline = self._read_timeline()

    def __len__(self) -> int:
        return len(self._timeline.vector_ids)

    def close(self) -> None:
        """The database belongs to whoever opened it."""

    def frame(self, frame_id: str) -> FrameRecord:
        return self.frames([frame_id])[0]

    def frames(self, frame_ids: Sequence[str]) -> list[FrameRecord]:
        places = [_place(frame_id) for frame_id in frame_ids]
        found = self._rows(
            "SELECT video_id, frame_index, record::text FROM frames WHERE shard_id = ANY(%s) AND (video_id, frame_index) IN "
            "(SELECT * FROM unnest(%s::text[], %s::int[]))",
            (self._shards, [p[0] for p in places], [p[1] for p in places]),
        )
        by_place = {(video_id, index): data for video_id, index, data in found}
        if missing := [f for f, p in zip(frame_ids, places, strict=True) if p not in by_place]:
            lost = missing[0][:140]
            raise NotFound(f"There is no frame {lost} in this snapshot.").known_as("no_frame", frame=lost)
        return [tables.from_json(by_place[place], FrameRecord) for place in places]

    def at(self, positions: Sequence[int]) -> list[FrameRecord]:
        t = self._timeline
        return self.frames([f"{t.videos[t.video_index[at]]}/{t.frame_index[at]}" for at in positions])

    def sealed(self, positions: Sequence[int]) -> list[SealedRecord]:
        """Written anew: PostgreSQL keeps an object's fields in an order of its own."""
        return [SealedRecord(tables.to_json(record), record_reader()) for record in self.at(positions)]

    def frames_of(self, video_id: str) -> list[FrameRecord]:
        sql = "SELECT record::text FROM frames WHERE shard_id = ANY(%s) AND video_id = %s ORDER BY frame_index"
        return [tables.from_json(row[0], FrameRecord) for row in self._rows(sql, (self._shards, video_id))]

    def videos(self) -> list[Video]:
        sql = "SELECT video::text FROM videos WHERE shard_id = ANY(%s) ORDER BY video_id"
        return [tables.from_json(row[0], Video) for row in self._rows(sql, (self._shards,))]

    def video(self, video_id: str) -> Video:
        rows = self._of_video("video", video_id)
        if not rows:
            error = NotFound(f"There is no video {video_id[:120]} in this snapshot.")
            raise error.known_as("no_video", video=video_id[:120])
        return tables.from_json(rows[0][0], Video)

    def shots(self, video_id: str) -> list[Shot]:
        import orjson

        rows = self._of_video("shots", video_id)
        return [tables.from_plain(shot, Shot) for shot in orjson.loads(rows[0][0])] if rows else []

    def timeline(self) -> Timeline:
        return self._timeline

    def allowed(self, where: FrameFilter) -> np.ndarray:
        """Ascending."""
        conditions, values = conditions_of(where)
        sql = " AND ".join(["SELECT vector_id FROM frames WHERE shard_id = ANY(%s)", *conditions])
        return np.sort(np.array([row[0] for row in self._rows(sql, (self._shards, *values))], np.int64))

    def facet_counts_at(self, positions: np.ndarray) -> dict[str, dict[str, int]]:
        return self.facet_counts(self._timeline.vector_ids[positions])

    def facet_counts(self, vector_ids: np.ndarray | None = None) -> dict[str, dict[str, int]]:
        """The most frequent value first; `unknown` is no value."""
        chosen, values = "", [self._shards]
        if vector_ids is not None:
            chosen, values = " AND vector_id = ANY(%s)", [self._shards, np.asarray(vector_ids).tolist()]
        counts: dict[str, dict[str, int]] = {name: {} for name in (*LISTS, *SCALARS)}
        sql = (
            "SELECT field.key, word, count(*) FROM frames, jsonb_each(words) AS field, jsonb_array_elements_text(field.value) AS word "
            f"WHERE shard_id = ANY(%s){chosen} GROUP BY 1, 2 ORDER BY 3 DESC, 2"
        )
        for name, word, number in self._rows(sql, tuple(values)):
            if name in LISTS or word not in ("unknown", ""):
                counts[name][word] = number
        return counts

    def _of_video(self, column: str, video_id: str) -> list[tuple[Any, ...]]:
        sql = f"SELECT {column}::text FROM videos WHERE shard_id = ANY(%s) AND video_id = %s"
        return self._rows(sql, (self._shards, video_id)) if "\0" not in video_id else []

    def _rows(self, sql: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        return self._database.transaction(lambda db: db.execute(sql, values).fetchall())

    def _read_timeline(self) -> Timeline:
        rows = self._rows(
            "SELECT vector_id, video_id, frame_index, pts_ms, shot_index, phash FROM frames WHERE shard_id = ANY(%s) "
            "ORDER BY video_id, frame_index",
            (self._shards,),
        )
        videos = self.videos()
        names = tuple(video.video_id for video in videos)
        number = {name: i for i, name in enumerate(names)}
        ids, of, index, pts, shot, phash = zip(*rows, strict=True) if rows else [()] * 6
        return Timeline(
            vector_ids=np.array(ids, np.int64),
            video_index=np.array([number[name] for name in of], np.int32),
            frame_index=np.array(index, np.int32),
            pts_ms=np.array(pts, np.int32),
            shot_index=np.array(shot, np.int32),
            phash=np.array(phash, np.int64).view(np.uint64),
            videos=names,
            duration_ms=np.array([video.duration_ms for video in videos], np.int32),
        )


def _place(frame_id: str) -> tuple[str, int]:
    video_id, _, index = frame_id.rpartition("/")
    if (
        index.isascii()
        and index.isdigit()
        and len(index) < 10
        and f"{video_id}/{int(index)}" == frame_id
        and "\0" not in video_id
    ):
        return video_id, int(index)
    error = NotFound(f"There is no frame {frame_id[:140]} in this snapshot.")
    raise error.known_as("no_frame", frame=frame_id[:140])


def conditions_of(where: FrameFilter) -> tuple[list[str], list[Any]]:
    """SQL conditions and their values, in order. Raises QueryError for a field that has no facet."""
    found: list[tuple[str, Any]] = []
    if where.videos:
        found.append(("video_id = ANY(%s)", list(where.videos)))
    if where.not_videos:
        found.append(("NOT video_id = ANY(%s)", list(where.not_videos)))
    if where.from_ms is not None:
        found.append(("pts_ms >= %s", where.from_ms))
    if where.to_ms is not None:
        found.append(("pts_ms < %s", where.to_ms))
    if where.objects:
        found.append(("words @> %s::jsonb", _json({"objects": where.objects})))
    if where.not_objects:
        found.append(("NOT words @> ANY(%s::jsonb[])", [_json({"objects": [word]}) for word in where.not_objects]))
    for name, words in where.facets.items():
        if name not in (*LISTS, *SCALARS):
            raise QueryError(f"There is no facet “{name[:40]}”.", cure=f"Use one of {', '.join((*LISTS, *SCALARS))}.")
        found.append(("words @> ANY(%s::jsonb[])", [_json({name: [word]}) for word in words]))
    return [sql for sql, _ in found], [value for _, value in found]
