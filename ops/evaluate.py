"""How well does a snapshot answer? Judged topics, asked of the real engine, with figures and a page in the run.

Topics and judgements are files (khung.search.topics); asking and the figures are khung.search.trial's.
"""

from pathlib import Path

import dagster as dg
from pydantic import Field

from khung.search.assembly import engine_of
from khung.search.encoders import QueryEncoders
from khung.search.topics import read_topics
from khung.search.trial import MEASURES, Trial, run
from khung.search.trial_page import page
from khung.settings import Settings
from khung.shards.shelf import Shelf
from khung.vision import Embedder

SHOWN_TOPICS = 500
"""In the run's table; the page has all."""


class TopicsToAsk(dg.Config):
    """What is asked, of which snapshot, and where the answer goes."""

    topics: str = Field(description="the file of topics, on the machine where the runs are: docs/how-to/evaluate.md")
    snapshot_id: str = Field("", description="empty: the one in service")
    page: str = Field("", description="file that a page with plots is written to; empty: none")
    strict: bool = Field(True, description="a topic whose moment has no frame is an error")


@dg.op(out=dg.Out(dict))
def evaluate(
    context: dg.OpExecutionContext,
    config: TopicsToAsk,
    embedder: dg.ResourceParam[Embedder],
    shelf: dg.ResourceParam[Shelf],
    settings: dg.ResourceParam[Settings],
) -> dict[str, float]:
    """Ask every topic; every measure, with the rank of each topic beside."""
    topics = read_topics(Path(config.topics))
    snapshot_id = config.snapshot_id or shelf.in_service()
    with shelf.open(snapshot_id) as snapshot:
        engine = engine_of(settings, snapshot, QueryEncoders(settings, [embedder]).of)
        trial = run(engine.search, snapshot.records.timeline(), topics, strict=config.strict)
    if config.page:
        Path(config.page).write_text(page([trial], about=f"Snapshot {snapshot_id}."), encoding="utf-8")
    found = figures(trial)
    context.add_output_metadata(
        {"snapshot": snapshot_id, "topics": len(trial.outcomes), **found, "ranks": dg.MetadataValue.md(table(trial))}
    )
    return found


def figures(trial: Trial) -> dict[str, float]:
    """Every measure over all topics, named as metadata may be: `found@5` is `found_at_5`."""
    found = trial.figures()
    return {name.replace("@", "_at_"): found[name] for name in MEASURES}


def table(trial: Trial) -> str:
    rows = [f"| {o.topic.text} | {o.topic.kind} | {o.rank or '–'} |" for o in trial.outcomes[:SHOWN_TOPICS]]
    return "\n".join(["| topic | class | rank |", "|---|---|---|", *rows])
