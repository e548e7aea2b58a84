"""An answer before it is sent: what was picked, how it is written for the server, and what a person must look at first.

What can never be right raises AnswerError; what may be right but looks odd is a Notice. What does not live here: what the
team has sent already (team), sending (sending), answer files (aic).
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, Self

from khung.contest.clock import frame_of_ms, ms_of_frame
from khung.errors import AnswerError
from khung.records import Video
from khung.timecode import format_ms

Kind = Literal["KIS", "AVS", "QA", "TRAKE"]
Rules = Literal["vbs", "aic"]

_EXTENSION = re.compile(r"\.(3gp|asf|avi|flv|m2ts|m4v|mkv|mov|mp4|mpeg|mpg|mts|ogv|ts|vob|webm|wmv)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to look at before sending. `code` is stable, for translation; `message` is English."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Pick:
    """A frame that the operator points at. `pts_ms`, when known, is the frame's own time and beats the frame rate."""

    video: Video
    frame_index: int
    pts_ms: int | None = None

    @classmethod
    def at(cls, video: Video, ms: int) -> Self:
        """The frame on the screen at a time of the player, which at its very end still shows the last."""
        frame = frame_of_ms(ms, video.fps_num, video.fps_den)
        last = video.frame_count - 1
        return cls(video, min(frame, last) if ms <= video.duration_ms else frame, ms)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer as DRES takes it (`ApiClientAnswer`): a range of a media item in milliseconds, or a text.

    Equal values are the same answer to the server.
    """

    item_name: str = ""
    start_ms: int | None = None
    end_ms: int | None = None
    text: str = ""
    collection: str = ""

    def wire(self) -> dict[str, str | int]:
        """The JSON object; what is not set is left out."""
        values = {
            "text": self.text or None,
            "mediaItemName": self.item_name or None,
            "mediaItemCollectionName": self.collection or None,
            "start": self.start_ms,
            "end": self.end_ms,
        }
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Draft:
    """A verified answer with what a person compares before sending. Frames and times go in pairs."""

    kind: Kind
    answer: Answer
    item_name: str
    video_id: str
    frames: tuple[int, ...]
    times_ms: tuple[int, ...]
    notices: tuple[Notice, ...]


def item_name(video: Video) -> str:
    """The contest's name of the video: its file's name without the extension, exactly as the organisers wrote it."""
    return _EXTENSION.sub("", re.split(r"[/\\]", video.source_name)[-1]) or video.video_id


def has_extension(name: str) -> bool:
    """An item's name never has one."""
    return bool(_EXTENSION.search(name))


def one_line(text: str) -> str:
    """NFC, and every run of white space one blank."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def prepare(kind: Kind, picks: Sequence[Pick], *, text: str = "", rules: Rules = "vbs", collection: str = "") -> Draft:
    """Verify and write one answer. Raises AnswerError when it cannot be right.

    KIS, AVS: one frame, or the first and the last of a range. QA: a text; under `aic` with the frame that proves it, as
    `QA-ANSWER-ITEM-MS`. TRAKE (`aic` only): the frames of the events in order, as `TR-ITEM-FRAME1,FRAME2,…`.
    """
    _check_count(kind, len(picks), rules)
    _check_order(kind, picks)
    timed = [_time(pick) for pick in picks]
    video = picks[0].video if picks else None
    name = item_name(video) if video else ""
    times = tuple(ms for ms, _ in timed)
    frames = tuple(pick.frame_index for pick in picks)
    notices = [notice for _, notice in timed if notice]
    if kind == "TRAKE" and video and video.vfr:
        notices.append(Notice("vfr_frames", "The frame rate varies: compare the frame numbers with the organisers'."))
    return Draft(
        kind=kind,
        answer=_write(kind, name, frames, times, one_line(text), rules, collection),
        item_name=name,
        video_id=video.video_id if video else "",
        frames=frames,
        times_ms=times,
        notices=tuple(dict.fromkeys(notices)),
    )


def _write(
    kind: Kind, name: str, frames: tuple[int, ...], times: tuple[int, ...], text: str, rules: Rules, collection: str
) -> Answer:
    if kind == "TRAKE":
        return Answer(text=f"TR-{name}-{','.join(map(str, frames))}")
    if kind == "QA":
        if not text:
            raise AnswerError("A QA answer needs a text.", cure="Write the answer.").known_as("answer_without_text")
        return Answer(text=f"QA-{text}-{name}-{times[0]}" if rules == "aic" else text)
    return Answer(name, times[0], times[-1], collection=collection)


def _check_count(kind: Kind, count: int, rules: Rules) -> None:
    if kind == "TRAKE" and rules != "aic":
        error = AnswerError("TRAKE is a task of the AI Challenge.", cure="Set KHUNG_CONTEST_RULES=aic.")
        raise error.known_as("trake_is_aic")
    least, most, words = {
        "KIS": (1, 2, "one frame, or the first and the last of a range"),
        "AVS": (1, 2, "one frame, or the first and the last of a range"),
        "QA": (1, 1, "the one frame that proves it") if rules == "aic" else (0, 1, "a text and at most one frame"),
        "TRAKE": (2, 100, "the frames of at least two events"),
    }[kind]
    if not least <= count <= most:
        error = AnswerError(f"A {kind} answer is {words}; {count} frames are picked.", cure=f"Pick {words}.")
        raise error.known_as("answer_count", kind=kind, least=least, most=most, count=count)


def _check_order(kind: Kind, picks: Sequence[Pick]) -> None:
    for before, after in pairwise(picks):
        if before.video.video_id != after.video.video_id:
            error = AnswerError("The frames are of different videos.", cure="Pick the frames of one video.")
            raise error.known_as("answer_of_two_videos")
        if after.frame_index < before.frame_index or (kind == "TRAKE" and after.frame_index == before.frame_index):
            error = AnswerError(
                f"Frame {after.frame_index} comes after frame {before.frame_index} in the answer, not in the video.",
                cure="Put the frames in the order of time, each once.",
            )
            raise error.known_as("answer_out_of_order", after=after.frame_index, before=before.frame_index)


def _time(pick: Pick) -> tuple[int, Notice | None]:
    """The pick's milliseconds for the server, and what is odd about them."""
    video, pts = pick.video, pick.pts_ms
    _check_inside(pick)
    if pts is not None and (video.vfr or not video.fps):
        return pts, None
    computed = ms_of_frame(pick.frame_index, video.fps_num, video.fps_den)
    if video.vfr:
        return computed, Notice("vfr_guess", "The frame rate varies and the time is computed from its average.")
    if pts is not None and abs(pts - computed) * video.fps_num > 1000 * video.fps_den:
        message = f"Frame {pick.frame_index} is shown at {format_ms(pts)}, its number says {format_ms(computed)}."
        return pts, Notice("clock_disagrees", message)
    return computed, None


def _check_inside(pick: Pick) -> None:
    video = pick.video
    inside = 0 <= pick.frame_index < video.frame_count and 0 <= (pick.pts_ms or 0) <= video.duration_ms
    if not inside:
        error = AnswerError(
            f"Frame {pick.frame_index} is outside {video.video_id}, "
            f"which has {video.frame_count} frames and ends at {format_ms(video.duration_ms)}.",
            cure="Pick a frame of this video.",
        )
        raise error.known_as(
            "answer_outside", frame=pick.frame_index, video=video.video_id, end=format_ms(video.duration_ms)
        )
