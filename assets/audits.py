"""Checks of what is in service, asked at any time: do ledger, archive and snapshot agree, and does it still answer?"""

from dataclasses import replace

import dagster as dg

from assets.catalog import previewed
from khung.errors import ConfigError, KhungError, NotFound
from khung.search.assembly import engine_of
from khung.search.canaries import complaints
from khung.search.encoders import QueryEncoders
from khung.search.spaces import EncoderOf
from khung.search.topics import Topic, read_topics
from khung.search.trial import Trial, compare, run
from khung.settings import Settings
from khung.shards.shelf import Shelf
from khung.shards.snapshot import Snapshot
from khung.stores import Ledger
from khung.stores.library import Library
from khung.vision import Embedder

LEVEL = 0.05


@dg.asset_check(
    asset="search_snapshot",
    description="Every video whose stages are done is in service, with its keyframes; a preview with some of them.",
)
def library_agrees(
    ledger: dg.ResourceParam[Ledger], library: dg.ResourceParam[Library], shelf: dg.ResourceParam[Shelf]
) -> dg.AssetCheckResult:
    """A video that was just made and is not published yet counts as missing: ask when the sensors are at rest."""
    done = {entry.video_id for entry in ledger.find(stage="embeddings", state="done")} | previewed(ledger)
    try:
        with shelf.open(shelf.in_service(), verify=False) as snapshot:
            served = {video.video_id for video in snapshot.records.videos()}
            differ = [v for v in sorted(done & served) if not _whole(library, snapshot, v)]
    except KhungError as error:
        return dg.AssetCheckResult(passed=False, metadata={"complaint": str(error)})
    wrong = {"missing": sorted(done - served), "not_in_ledger": sorted(served - done), "other_frames": differ}
    told = {name: ", ".join(videos[:50]) or "none" for name, videos in wrong.items()}
    return dg.AssetCheckResult(passed=not any(wrong.values()), metadata={"videos": len(served), **told})


@dg.asset_check(
    asset="search_snapshot", description="Every file has its checksum and the canary questions are answered."
)
def still_answers(
    embedder: dg.ResourceParam[Embedder], shelf: dg.ResourceParam[Shelf], settings: dg.ResourceParam[Settings]
) -> dg.AssetCheckResult:
    try:
        with shelf.open(shelf.in_service()) as snapshot:
            wrong = list(complaints(snapshot, QueryEncoders(settings, [embedder]).of))
    except KhungError as error:
        wrong = [str(error)]
    return dg.AssetCheckResult(passed=not wrong, metadata={"complaints": "; ".join(wrong) or "none"})


@dg.asset_check(
    asset="search_snapshot", description="The judged topics are answered no worse than by the snapshot before."
)
def answers_judged_topics(
    embedder: dg.ResourceParam[Embedder], shelf: dg.ResourceParam[Shelf], settings: dg.ResourceParam[Settings]
) -> dg.AssetCheckResult:
    """Fails when the mean reciprocal rank has fallen and chance alone would do that less than once in twenty; the topics that fell
    are named. Without KHUNG_SEARCH_TOPICS nothing is asked, which is told."""
    if settings.search.topics is None:
        return dg.AssetCheckResult(passed=True, metadata={"topics": "none are set: KHUNG_SEARCH_TOPICS"})
    encoder_of = QueryEncoders(settings, [embedder]).of
    try:
        topics = read_topics(settings.search.topics)
        now = shelf.in_service()
        trial = _tried(shelf, now, settings, encoder_of, topics)
        before = _tried_before(shelf, now, settings, encoder_of, [o.topic for o in trial.outcomes])
    except KhungError as error:
        return dg.AssetCheckResult(passed=False, metadata={"complaint": str(error)})
    return judged(trial, before)


def _tried(shelf: Shelf, snapshot_id: str, settings: Settings, encoder_of: EncoderOf, topics: list[Topic]) -> Trial:
    with shelf.open(snapshot_id, verify=False) as snapshot:
        ask = engine_of(settings, snapshot, encoder_of).search
        return run(ask, snapshot.records.timeline(), topics, name=snapshot_id)


def _tried_before(
    shelf: Shelf, now: str, settings: Settings, encoder_of: EncoderOf, topics: list[Topic]
) -> Trial | None:
    """The snapshot before, asked the same; None when there is none any more, or it has none of their videos."""
    try:
        return _tried(shelf, shelf.before(now), settings, encoder_of, topics)
    except (NotFound, ConfigError):
        return None


def judged(trial: Trial, before: Trial | None) -> dg.AssetCheckResult:
    """Whether the snapshot passes beside the one before it."""
    found = {"topics": len(trial.outcomes), **{f"now {name}": value for name, value in trial.figures().items()}}
    if before is None:
        return dg.AssetCheckResult(passed=True, metadata=found | {"before": "there is no snapshot to compare with"})
    asked = {o.topic.id for o in before.outcomes}  # what the snapshot before had the videos for
    trial = replace(trial, outcomes=tuple(o for o in trial.outcomes if o.topic.id in asked))
    (change,) = compare(before, trial, ["mrr"])
    was = {o.topic.id: o.rank for o in before.outcomes}
    fell = [o for o in trial.outcomes if was[o.topic.id] and not 0 < o.rank <= was[o.topic.id]]
    told = "; ".join(f"{o.topic.text}: {was[o.topic.id]} → {o.rank or '–'}" for o in fell[:20])
    worse = change.second < change.first and change.p < LEVEL
    more = {"before mrr": round(change.first, 4), "p": round(change.p, 4), "fell": told or "none"}
    return dg.AssetCheckResult(passed=not worse, metadata=found | more)


def _whole(library: Library, snapshot: Snapshot, video_id: str) -> bool:
    """Are the video's keyframes served, or some of them where it says that it is a preview?"""
    kept, served = _frames(library, video_id), _served(snapshot, video_id)
    return served <= kept if snapshot.records.video(video_id).preview else served == kept


def _frames(library: Library, video_id: str) -> set[int]:
    try:
        return {keyframe.frame_index for keyframe in library.keyframes(video_id)}
    except NotFound:
        return set()


def _served(snapshot: Snapshot, video_id: str) -> set[int]:
    return {record.keyframe.frame_index for record in snapshot.records.frames_of(video_id)}
