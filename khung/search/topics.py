"""Judged topics as files: questions, and the frames or moments that answer them. Asking them is `trial.py`.

Topics, one a line (`*.tsv`): `id TAB class TAB question`; class `-` is read from the question. Judgements beside them as TREC
writes them (`*.qrels`): `id 0 answer gain`, the answer being a frame (`L21_V001/1200`) or a moment (`L21_V001@1000-5000`, ms,
half-open). A `*.jsonl` of `{"text", "video", "from_ms", "to_ms"}` is both in one. Lines that begin with # are remarks.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from khung.errors import ConfigError
from khung.search.parsed import ParsedQuery
from khung.search.query import parse
from khung.stores import Timeline

CLASSES = ("vi marked", "vi unmarked", "en", "temporal", "OCR", "sequence", "negation")
_MOMENT = re.compile(r"(?P<video>[A-Za-z0-9_-]{1,120})(?:/(?P<frame>\d{1,9})|@(?P<from>\d{1,10})-(?P<to>\d{1,10}))")


@dataclass(frozen=True, slots=True)
class Moment:
    """What answers a topic: one frame, or the frames of a stretch of time, `[from_ms, to_ms)`."""

    video: str
    frame: int | None = None
    from_ms: int = 0
    to_ms: int = 0
    gain: float = 1.0


@dataclass(frozen=True)
class Topic:
    """A question with its answers. `kind` is one of CLASSES, or a word of the file's own."""

    id: str
    text: str
    kind: str
    answers: tuple[Moment, ...] = field(default=())

    @property
    def videos(self) -> frozenset[str]:
        return frozenset(answer.video for answer in self.answers)


def kind_of(parsed: ParsedQuery) -> str:
    """The class of a question that names none."""
    if len(parsed.events) > 1:
        return "sequence"
    if parsed.must_show or any(event.screen_text for event in parsed.events):
        return "OCR"
    if parsed.last_ms is not None or parsed.where.from_ms is not None or parsed.where.to_ms is not None:
        return "temporal"
    if any(event.without for event in parsed.events):
        return "negation"
    if parsed.language == "en":
        return "en"
    return "vi marked" if parsed.marked else "vi unmarked"


def read_topics(topics: Path, judgements: Path | None = None) -> list[Topic]:
    """Topics that have an answer, in the file's order. `judgements` None: the `.qrels` of the same name beside it.

    Raises ConfigError, naming the line that cannot be read; QueryError for a question that cannot be asked.
    """
    if topics.suffix == ".jsonl":
        return [_from_json(line, where) for where, line in _lines(topics)]
    answers = _judged(judgements or topics.with_suffix(".qrels"))
    found = [_from_row(line, where, answers) for where, line in _lines(topics)]
    if len({topic.id for topic in found}) < len(found):
        raise ConfigError(f"{topics} has two topics of one id.")
    if stray := sorted(answers.keys() - {topic.id for topic in found}):
        raise ConfigError(f"There is no topic {stray[0]} in {topics}, though it is judged.")
    return [topic for topic in found if topic.answers]


def frames_of(topic: Topic, timeline: Timeline) -> dict[str, float]:
    """Frame id → gain: the frames of a snapshot that answer the topic; the higher gain where answers overlap."""
    gains: dict[str, float] = {}
    for answer in topic.answers:
        for frame in _frames(answer, timeline):
            name = f"{answer.video}/{frame}"
            gains[name] = max(gains.get(name, 0.0), answer.gain)
    return gains


def _frames(answer: Moment, timeline: Timeline) -> Sequence[int]:
    if answer.video not in timeline.videos:
        return []
    number = timeline.videos.index(answer.video)
    start, end = np.searchsorted(timeline.video_index, [number, number + 1])
    frames, pts = timeline.frame_index[start:end], timeline.pts_ms[start:end]
    if answer.frame is not None:
        return frames[frames == answer.frame].tolist()
    return frames[(pts >= answer.from_ms) & (pts < answer.to_ms)].tolist()


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Where a line stands, and the line; without remarks and empty lines."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.") from error
    return ((f"{path}, line {n}", line) for n, line in enumerate(lines, 1) if line.strip() and line[0] != "#")


def _from_row(line: str, where: str, answers: Mapping[str, Sequence[Moment]]) -> Topic:
    cells = [cell.strip() for cell in line.split("\t")]
    if len(cells) != 3 or not all(cells):
        raise ConfigError(f"{where}: not a topic.", cure="Write id, class (or -) and question, with tabs between.")
    name, kind, text = cells
    parsed = parse(text)
    return Topic(name, text, kind_of(parsed) if kind == "-" else kind, tuple(answers.get(name, ())))


def _from_json(line: str, where: str) -> Topic:
    try:
        row = json.loads(line)
        answer = Moment(row.pop("video"), None, row.pop("from_ms"), row.pop("to_ms"))
        text = row.pop("text")
        if row or not isinstance(text, str) or not isinstance(answer.video, str):
            raise ValueError(f"unknown fields {', '.join(row)}" if row else "text and video are strings")
        if not 0 <= answer.from_ms < answer.to_ms:
            raise ValueError("its time is empty")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        cure = 'Write {"text": …, "video": …, "from_ms": …, "to_ms": …} on each line.'
        raise ConfigError(f"{where}: {error}.", cure=cure) from error
    return Topic(where.rpartition(" ")[2], text, kind_of(parse(text)), (answer,))


def _judged(path: Path) -> dict[str, list[Moment]]:
    found: dict[str, list[Moment]] = {}
    for where, line in _lines(path):
        cells = line.split()
        moment = _moment(cells[2], cells[3]) if len(cells) == 4 else None
        if moment is None:
            raise ConfigError(
                f"{where}: not a judgement.", cure="Write id 0 VIDEO/FRAME gain, or id 0 VIDEO@FROM-TO gain."
            )
        found.setdefault(cells[0], [])
        if moment.gain > 0:
            found[cells[0]].append(moment)
    return found


def _moment(answer: str, gain: str) -> Moment | None:
    match = _MOMENT.fullmatch(answer)
    if not match or not re.fullmatch(r"-?\d{1,3}(\.\d{1,3})?", gain):
        return None
    if match["frame"]:
        return Moment(match["video"], int(match["frame"]), gain=float(gain))
    moment = Moment(match["video"], None, int(match["from"]), int(match["to"]), float(gain))
    return moment if moment.from_ms < moment.to_ms else None
