"""How well does a snapshot answer? Topics with known answers, asked of the real engine.

A topics file has one JSON object a line: `{"text": "…", "video": "L21_V001", "from_ms": 1000, "to_ms": 5000}`; the right
answers are the frames of that video in `[from_ms, to_ms)`. The metrics are khung.search.evaluation's.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from khung.errors import ConfigError, NotFound
from khung.search.encoders import QueryEncoders
from khung.search.engine import Engine
from khung.search.evaluation import mean, recall_at, reciprocal_rank
from khung.search.request import SearchRequest
from khung.settings import Settings
from khung.shards.shelf import Shelf
from khung.shards.snapshot import Snapshot
from khung.vision import Embedder

DEPTH = 100
CUTS = (1, 5, 10, 50)


@dataclass(frozen=True, slots=True)
class Topic:
    """A question and the moment that answers it."""

    text: str
    video: str
    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True)
class Scored:
    """A topic with the rank of its first right answer (0: none among the first 100) and its recall by cut."""

    topic: Topic
    rank: int
    recall: dict[int, float]


class TopicsToAsk(dg.Config):
    """`snapshot_id` empty: the one in service."""

    topics: str
    snapshot_id: str = ""


@dg.op(out=dg.Out(dict))
def evaluate(
    context: dg.OpExecutionContext,
    config: TopicsToAsk,
    embedder: dg.ResourceParam[Embedder],
    shelf: dg.ResourceParam[Shelf],
    settings: dg.ResourceParam[Settings],
) -> dict[str, float]:
    """Ask every topic; recall and mean reciprocal rank, with the rank of each topic beside."""
    topics = read_topics(Path(config.topics))
    snapshot_id = config.snapshot_id or shelf.follow()
    if not snapshot_id:
        raise NotFound("No snapshot is in service.", cure="Publish one first.")
    encoder_of = QueryEncoders(settings, [embedder]).of
    with shelf.open(snapshot_id) as snapshot:
        scored = score(Engine(snapshot, encoder_of=encoder_of), snapshot, topics)
    found = figures(scored)
    rows = "\n".join(f"| {one.topic.text} | {one.topic.video} | {one.rank or '–'} |" for one in scored)
    table = dg.MetadataValue.md(f"| topic | video | rank |\n|---|---|---|\n{rows}")
    context.add_output_metadata({"snapshot": snapshot_id, "topics": len(scored), **found, "ranks": table})
    return found


def read_topics(path: Path) -> list[Topic]:
    """Raises ConfigError, naming the line that is no topic."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    return [_topic(line, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]


def _topic(line: str, where: str) -> Topic:
    try:
        return Topic(**json.loads(line))
    except (ValueError, TypeError) as error:
        cure = 'Write {"text": …, "video": …, "from_ms": …, "to_ms": …} on each line.'
        raise ConfigError(f"{where}: {error}.", cure=cure) from error


def score(engine: Engine, snapshot: Snapshot, topics: list[Topic]) -> list[Scored]:
    """Raises ConfigError for a topic whose moment has no frame in the snapshot: it could not be answered."""
    return [_score(engine, topic, _right(snapshot, topic)) for topic in topics]


def figures(scored: list[Scored]) -> dict[str, float]:
    """`recall_at_k` is the mean share of the right frames among the first k; `found_at_k` the share of topics with one."""
    found = {f"recall_at_{k}": mean([one.recall[k] for one in scored]) for k in CUTS}
    found |= {f"found_at_{k}": mean([0 < one.rank <= k for one in scored]) for k in CUTS}
    return {name: round(value, 4) for name, value in found.items()} | {
        "mrr": round(mean([1 / one.rank if one.rank else 0.0 for one in scored]), 4)
    }


def _score(engine: Engine, topic: Topic, right: set[str]) -> Scored:
    hits = engine.search(SearchRequest(text=topic.text, limit=DEPTH, facets=False)).hits
    ranked = [hit.record.frame_id for hit in hits]
    first = reciprocal_rank(ranked, right)
    return Scored(topic, round(1 / first) if first else 0, {k: recall_at(k, ranked, right) for k in CUTS})


def _right(snapshot: Snapshot, topic: Topic) -> set[str]:
    frames = snapshot.records.frames_of(topic.video)
    right = {record.frame_id for record in frames if topic.from_ms <= record.pts_ms < topic.to_ms}
    if not right:
        raise ConfigError(f"“{topic.text}”: the snapshot has no frame of {topic.video} in that time.")
    return right
