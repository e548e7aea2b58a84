"""Files of the HCMC AI Challenge: the qualifier's answer files (KIS, QA, TRAKE), their ZIP, and map-keyframes.

The qualifier's rules, as its page gave them in 2025 and 2026: one CSV a query, named as the organisers named the query, at
most 100 rows from best to worst, UTF-8, no header, item names without extension, answers of at most 100 characters; all in
one folder `submission` of a ZIP. Frames are numbers of the original video from 0. What does not live here: the finals; those
are on DRES (submission).
"""

import csv
import io
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

from khung.contest.submission import has_extension, one_line
from khung.errors import AnswerError
from khung.records import Keyframe, Video

Task = Literal["kis", "qa", "trake"]

MAX_ROWS = 100
MAX_ANSWER = 100
"""Characters of a QA answer."""
MAP_HEADER = ("n", "pts_time", "fps", "frame_idx")

_QUERY = re.compile(r"[A-Za-z0-9_-]+-(kis|qa|trake)")


@dataclass(frozen=True, slots=True)
class Row:
    """One ranked answer: KIS and QA have one frame, TRAKE one for each event."""

    item_name: str
    frames: tuple[int, ...]
    answer: str = ""


@dataclass(frozen=True, slots=True)
class MapRow:
    """One line of map-keyframes: keyframe `n` (from 1) is frame `frame_index` (from 0)."""

    n: int
    pts_ms: int
    fps: float
    frame_index: int


def task_of(query: str) -> Task:
    """The task that a query's name ends with, e.g. `query-p1-3-qa`."""
    match = _QUERY.fullmatch(query)
    if not match:
        error = AnswerError(f"“{query}” is not the name of a query.", cure="Use the organisers' name: query-1-kis.")
        raise error.known_as("aic_name_wrong", query=query)
    return next(task for task in get_args(Task) if task == match[1])


def row(item: str, frames: Iterable[int], *, answer: str = "") -> Row:
    """A search hit as a row; the frames of an “A then B” chain are the events of TRAKE."""
    return Row(item, tuple(frames), one_line(answer))


def problems(
    query: str, rows: Sequence[Row], *, videos: Mapping[str, Video] | None = None, events: int | None = None
) -> list[str]:
    """What the organisers would refuse, in words; empty when the file is good. `videos` by item name; `events` of TRAKE."""
    task = task_of(query)
    found = [] if 1 <= len(rows) <= MAX_ROWS else [f"{len(rows)} rows; there must be 1 to {MAX_ROWS}."]
    expected = 1 if task != "trake" else events or (len(rows[0].frames) if rows else 0)
    for number, row in enumerate(rows, 1):
        found += [f"Row {number}: {words}" for words in _row_problems(task, row, expected, videos)]
    return found


def write(
    query: str, rows: Iterable[Row], *, videos: Mapping[str, Video] | None = None, events: int | None = None
) -> bytes:
    """The query's CSV file. Rows that say the same as an earlier one are left out. Raises AnswerError with all problems."""
    unique = list(dict.fromkeys(rows))
    found = problems(query, unique, videos=videos, events=events)
    if found:
        raise AnswerError(f"{query}.csv cannot be written. {' '.join(found[:5])}", cure="Mend the rows named.")
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerows([row.item_name, *row.frames, *([row.answer] if task_of(query) == "qa" else [])] for row in unique)
    return text.getvalue().encode()


def read(query: str, data: bytes) -> list[Row]:
    """The rows of an answer file, also of one written by hand. Raises AnswerError naming the row."""
    asks = task_of(query) == "qa"
    return [_row(number, cells, asks) for number, cells in enumerate(_cells(data), 1)]


def pack(files: Mapping[str, bytes]) -> bytes:
    """The ZIP to hand in: `submission/{query}.csv`. `files`: name of the query → its CSV."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for query in sorted(files):
            task_of(query)
            archive.writestr(zipfile.ZipInfo(f"submission/{query}.csv"), files[query], zipfile.ZIP_DEFLATED)
    return out.getvalue()


def write_map(video: Video, keyframes: Iterable[Keyframe]) -> bytes:
    """map-keyframes of a video: `n,pts_time,fps,frame_idx`, times in seconds."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(MAP_HEADER)
    ordered = sorted(keyframes, key=lambda keyframe: keyframe.frame_index)
    table.writerows((n, k.pts_ms / 1000, video.fps, k.frame_index) for n, k in enumerate(ordered, 1))
    return text.getvalue().encode()


def read_map(data: bytes) -> list[MapRow]:
    """The organisers' map-keyframes of a video. Raises AnswerError when it is none."""
    header, *lines = _cells(data) or [[]]
    if tuple(header) != MAP_HEADER:
        raise AnswerError("This is no map-keyframes file.", cure=f"Its first line must be {','.join(MAP_HEADER)}.")
    try:
        rows = [MapRow(int(n), round(float(pts) * 1000), float(fps), int(frame)) for n, pts, fps, frame in lines]
    except ValueError as error:
        raise AnswerError(f"A line of map-keyframes has no four numbers: {error}.") from error
    if any(after.n != before.n + 1 or after.frame_index <= before.frame_index for before, after in pairwise(rows)):
        raise AnswerError("The keyframes of map-keyframes are not in order.", cure="Fetch the file again.")
    return rows


def _row_problems(task: Task, row: Row, expected: int, videos: Mapping[str, Video] | None) -> Iterable[str]:
    if not row.item_name or has_extension(row.item_name):
        yield f"“{row.item_name}” must be the video's name without extension."
    if len(row.frames) != expected or (task == "trake" and expected < 2):
        yield f"{len(row.frames)} frames where {max(expected, 2) if task == 'trake' else 1} are asked."
    if any(after <= before for before, after in pairwise(row.frames)):
        yield "the frames are not in the order of time."
    if (task == "qa") != bool(row.answer):
        yield "an answer is missing." if task == "qa" else "only QA has an answer."
    if len(row.answer) > MAX_ANSWER:
        yield f"the answer has {len(row.answer)} characters, {MAX_ANSWER} are allowed."
    if videos is not None:
        yield from _video_problems(row, videos.get(row.item_name))
    elif any(frame < 0 for frame in row.frames):
        yield "a frame number is negative."


def _video_problems(row: Row, video: Video | None) -> Iterable[str]:
    if video is None:
        yield f"“{row.item_name}” is not in the library."
    elif not all(0 <= frame < video.frame_count for frame in row.frames):
        yield f"{row.item_name} has the frames 0 to {video.frame_count - 1}."


def _cells(data: bytes) -> list[list[str]]:
    if data.startswith(b"PK"):
        raise AnswerError("This is a spreadsheet or a ZIP, not a CSV file.", cure="Save it as CSV.")
    try:
        text = data.decode("utf-8-sig")
        return [
            cells for cells in csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True) if cells
        ]
    except (UnicodeDecodeError, csv.Error) as error:
        raise AnswerError(f"The file cannot be read: {error}.", cure="Save it as CSV in UTF-8.") from error


def _row(number: int, cells: list[str], asks: bool) -> Row:
    frames = cells[1:2] if asks else cells[1:]
    if not all(re.fullmatch(r"[0-9]{1,12}", frame.strip()) for frame in frames) or (asks and len(cells) != 3):
        form = "video, frame, answer" if asks else "video, frame, …"
        raise AnswerError(f"Row {number} is “{','.join(cells)[:80]}”.", cure=f"A row is {form}, without a header.")
    return Row(cells[0].strip(), tuple(map(int, frames)), one_line(cells[2]) if asks else "")
