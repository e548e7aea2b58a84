"""Some videos by name, through all their stages in one run: a list need not be neighbours, and each model is loaded once.

The way to try failed videos again, and to redo a selection after a change. A range of partitions is better launched on the
assets themselves, where Dagster shows failures by partition; here a failure is told at the end, when the others are through.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import dagster as dg
from pydantic import Field

from assets.batch import POOLS, Batch, Outcome
from assets.catalog import VIDEO_STAGES, pending, stale
from assets.failures import in_a_row
from assets.keyframes import pick_frames
from assets.notes import describe_frames
from assets.partitions import VIDEOS
from assets.playable_copies import make_playable
from assets.preview import embed_preview
from assets.recipe import code_versions
from assets.shots import find_shots
from assets.vectors import embed_frames
from assets.videos import take_in
from khung.errors import ConfigError
from khung.settings import Settings
from khung.stores import Ledger, LedgerEntry
from orchestration.ranges import in_flight

STAGES: Mapping[str, tuple[Callable[..., Outcome], tuple[str, ...]]] = {
    "videos": (take_in, ("library", "settings")),
    "shots": (find_shots, ("library", "transnet", "copies", "settings")),
    "keyframes": (pick_frames, ("library", "settings")),
    "preview": (embed_preview, ("library", "embedder")),
    "embeddings": (embed_frames, ("library", "embedder", "fallback")),
    "descriptions": (describe_frames, ("library", "describer", "reader")),
    "playable_copies": (make_playable, ("library", "settings")),
}
"""Stage → what it does with one video, and the resources it wants by name."""


class Selection(dg.Config):
    """Which videos, and what is to be done again."""

    videos: list[str] = Field(
        [], description="names of videos; none: all that failed, or with `stale` all that are stale"
    )
    redo_from: str = Field(
        "",
        description="a stage that is done again with all that builds on it, even where it is done: videos, shots, keyframes, preview, "
        "embeddings, descriptions or playable_copies; empty: only what is pending, failed or stale",
    )
    stale: bool = Field(False, description="all whose results another recipe (code, settings or model) has made")
    most: int = Field(0, ge=0, description="no more videos than so many, those that have waited longest; 0: all")


@dg.op(out=dg.Out(list))
def select(
    context: dg.OpExecutionContext,
    config: Selection,
    ledger: dg.ResourceParam[Ledger],
    settings: dg.ResourceParam[Settings],
) -> list[str]:
    """The videos of the selection, put back to where they are to begin."""
    behind = stale_results(ledger, code_versions(settings)) if config.stale else {}
    videos = sorted(
        set(config.videos) or behind or {e.video_id for e in ledger.find(state="failed") if not config.stale}
    )
    if config.most:
        waited = {v: min(e.updated_at for e in ledger.get(v).values()) for v in videos if ledger.get(v)}
        videos = sorted(sorted(videos, key=lambda v: waited.get(v, ""))[: config.most])
    if unknown := [v for v in videos if not ledger.get(v)]:
        raise ConfigError(
            f"The ledger does not know {', '.join(unknown[:5])}.", cure="Names are listed by khung status."
        )
    put_back(ledger, videos, config.redo_from)
    ledger.put(replace(e, state="waiting", attempt=0) for v in videos for e in behind.get(v, ()))
    context.log.info(f"{len(videos)} videos: {', '.join(videos[:20])}")
    return videos


def stale_results(ledger: Ledger, versions: Mapping[str, str]) -> dict[str, list[LedgerEntry]]:
    """Video → its lines whose result is of another recipe than the present one."""
    found: dict[str, list[LedgerEntry]] = {}
    for stage in VIDEO_STAGES:
        behind = set(stale(ledger, stage, versions[stage]))
        for entry in ledger.find(stage=stage, state="done"):
            if entry.video_id in behind:
                found.setdefault(entry.video_id, []).append(entry)
    return found


def put_back(ledger: Ledger, videos: Sequence[str], redo_from: str = "") -> None:
    """What failed waits again, and so does `redo_from` where it was done. Raises ConfigError for a stage that is none."""
    if redo_from and redo_from not in STAGES:
        raise ConfigError(f"There is no stage {redo_from}.", cure=f"Name one of {', '.join(STAGES)}.")
    entries = [entry for video_id in videos for entry in ledger.get(video_id).values()]
    again = [e for e in entries if e.state == "failed" or (e.stage == redo_from and e.state == "done")]
    ledger.put(replace(entry, state="waiting", attempt=0) for entry in again)


def stage_op(stage: str) -> dg.OpDefinition:
    """One stage over those of the selection that are ready for it; takes the selection and hands it on."""
    work, wanted = STAGES[stage]

    @dg.op(
        name=f"{stage}_of_selection",
        ins={"videos": dg.In(list)},
        out=dg.Out(list),
        pool=POOLS.get(stage),
        required_resource_keys={"ledger", "settings", *wanted},
        description=f"{stage} of the selected videos that are ready for it.",
    )
    def made(context: dg.OpExecutionContext, videos: list[str]) -> list[str]:
        ledger, settings = context.resources.ledger, context.resources.settings
        given: dict[str, Any] = {name: getattr(context.resources, name) for name in wanted}
        others = in_flight(context.instance, stage, context.instance.get_dynamic_partitions(VIDEOS.name))
        ready = {entry.video_id for entry in pending(ledger, stage, others)}.intersection(videos)
        batch = Batch(context, ledger, stage, code_versions(settings)[stage])
        batch.run(sorted(ready), lambda video_id: work(video_id, **given))
        return videos

    return made


@dg.op(ins={"videos": dg.In(list)})
def report(context: dg.OpExecutionContext, videos: list[str], ledger: dg.ResourceParam[Ledger]) -> None:
    """Fail the run by the names of those that failed, now that the others are through."""
    entries = [entry for video_id in videos for entry in ledger.get(video_id).values() if entry.state == "failed"]
    if entries:
        rows = "\n".join(f"| {e.video_id} | {e.stage} | `{e.reason}` | {in_a_row(e.detail)} |" for e in entries)
        raise dg.Failure(
            f"{len(entries)} of {len(videos)} videos failed; the others are through.",
            metadata={"failed": dg.MetadataValue.md(f"| video | stage | reason | detail |\n|---|---|---|---|\n{rows}")},
            allow_retries=False,
        )


@dg.config_mapping
def selection_config(selection: Selection) -> dict[str, Any]:
    return {"ops": {"select": {"config": selection.model_dump()}}}


@dg.job(config=selection_config)
def process_selection() -> None:
    """Some videos by name, or all that failed, through all their stages in one run with one load of each model."""
    videos = select()
    for stage in VIDEO_STAGES:
        videos = stage_op(stage)(videos)
    report(videos)
