"""Many videos in one run, each on its own: what every per-video asset shares.

One model load serves the whole batch. A video that fails is written into the ledger with its reason and named in the run's
failure; the others are materialised, one event each. What a stage computes does not live here.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import dagster as dg

from assets.catalog import READS, outdated
from assets.checks import CHECKS, CheckFailed
from assets.failures import looked_at, raise_failures, reason_of
from assets.partitions import VIDEOS, members
from assets.recipe import CODE_VERSIONS
from assets.versions import Input, event_pointers, version_tags
from khung.errors import ConfigError, ContextLost, KhungError, ModelFileMissing, ModelUnavailable, Outage
from khung.stores import BY_INVITATION, Ledger, LedgerEntry
from khung.stores.waiting import put_back
from khung.timecode import format_ms, utc_now

VIDEOS_A_RUN = {
    "videos": 100,
    "shots": 24,
    "keyframes": 50,
    "preview": 16,
    "embeddings": 64,
    "descriptions": 32,
    "playable_copies": 12,
}
"""One model load serves so many. The numbers differ, or Dagster would put two stages into one run of a backfill, where a
failure of the first skips the second for everyone."""

POOLS = {
    "shots": "decode",
    "keyframes": "pictures",
    "preview": "models",
    "embeddings": "models",
    "descriptions": "models",
    "playable_copies": "copies",
    "shard_indices": "shelf",
    "search_snapshot": "shelf",
}
"""What a stage takes up while it runs; Dagster lets as many runs at it as the pool is large. A selection takes them all."""

PROGRESS_EVERY_S = 2.0

NOT_THE_VIDEOS_FAULT = (ConfigError, ModelFileMissing, ModelUnavailable, Outage)
"""These would fail every video the same way: the run stops at the first, and the videos wait for the cure."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a stage tells of one video: the version of its result, and what people want to see. `reason` and `detail`: what is
    not as it should be although the stage is done; the ledger keeps them. `invites`: the stages by invitation that it is to pass."""

    fingerprint: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    detail: str = ""
    invites: tuple[str, ...] = ()


Work = Callable[[str], Outcome]
"""Reads, computes and writes one video's part of a stage. Raises what it likes: it fails alone."""


def per_video(stage: str, *, kinds: set[str], group: str) -> dict[str, Any]:
    """Arguments of `@dg.multi_asset` for a per-video stage."""
    spec = dg.AssetSpec(
        stage,
        deps=READS[stage],
        group_name=group,
        kinds=kinds,
        owners=["team:kitchen"],
        code_version=CODE_VERSIONS[stage],
        partitions_def=VIDEOS,
        skippable=True,
    )
    checks = [
        dg.AssetCheckSpec(name, asset=stage, blocking=True, description=text)
        for name, text in CHECKS.get(stage, {}).items()
    ]
    policy = dg.BackfillPolicy.multi_run(max_partitions_per_run=VIDEOS_A_RUN[stage])
    pool = POOLS.get(stage)
    return {"name": stage, "specs": [spec], "check_specs": checks, "backfill_policy": policy, "pool": pool}


def each_video(
    context: dg.AssetExecutionContext, ledger: Ledger, work: Work, *, workers: int = 1
) -> Iterator[dg.AssetCheckResult]:
    """The body of a per-video asset: every video of the run's partitions through `work`."""
    stage = context.asset_key.to_user_string()
    version = context.assets_def.get_asset_spec(context.asset_key).code_version or ""
    video_ids = members(context.partition_keys)
    failures = Batch(context, ledger, stage, version).run(video_ids, work, workers)
    for name in CHECKS.get(stage, {}):
        caught = {v: str(e) for v, e in failures.items() if isinstance(e, CheckFailed) and e.check == name}
        yield dg.AssetCheckResult(
            check_name=name, passed=not caught, metadata=looked_at("videos", len(video_ids), caught)
        )
    raise_failures(stage, failures)


@dataclass(frozen=True, slots=True)
class Batch:
    """One stage over some videos, inside a run of an asset or of a chore."""

    context: dg.AssetExecutionContext | dg.OpExecutionContext
    ledger: Ledger
    stage: str
    code_version: str

    def run(self, video_ids: Sequence[str], work: Work, workers: int = 1) -> dict[str, BaseException]:
        """Each video through `work`, `workers` at a time; ledger and events are written as they end. Returns the failures."""
        before = {video_id: self.ledger.get(video_id) for video_id in video_ids}
        ready = [video_id for video_id in video_ids if self._ready(before[video_id])]
        for video_id in sorted(set(video_ids).difference(ready)):
            self.context.log.info(f"{video_id}: left out, what {self.stage} builds on is not there, or it needs none.")
        inputs = self._inputs(ready, before)
        failures = {}
        try:
            with _pool(workers) as pool:
                jobs = {v: pool.submit(self._work, before[v].get(self.stage), v, work) for v in ready}
                for number, (video_id, job) in enumerate(jobs.items(), 1):
                    if error := self._settle(video_id, job, inputs[video_id]):
                        failures[video_id] = error
                    outcome = "failed" if error else "is done"
                    self.context.log.info(f"{self.stage} {number}/{len(jobs)}: {video_id} {outcome}")
        except NOT_THE_VIDEOS_FAULT as fault:
            self._put_back(ready, before, fault)
            raise
        except ContextLost as fault:
            others = [v for v in ready if v != video_id]  # the one that was settled last met it first
            self._put_back(others, before, fault)
            raise
        return failures

    def _inputs(
        self, ready: Sequence[str], before: Mapping[str, Mapping[str, LedgerEntry]]
    ) -> dict[str, dict[str, Input]]:
        """What each video's work reads, for Dagster to compare with later."""
        events = {name: event_pointers(self.context.instance, name, ready) for name in READS[self.stage]}
        return {v: {name: Input(before[v][name].fingerprint, events[name].get(v)) for name in events} for v in ready}

    def _ready(self, entries: Mapping[str, LedgerEntry]) -> bool:
        if self.stage in entries and entries[self.stage].state == "linked":
            return False
        if self.stage in BY_INVITATION and self.stage not in entries:
            return False
        return all(b in entries and entries[b].state == "done" for b in READS[self.stage])

    def _work(self, last: LedgerEntry | None, video_id: str, work: Work) -> tuple[Outcome, float]:
        entry = last or LedgerEntry(video_id, self.stage, "waiting")
        running = replace(entry, state="running", reason="", detail="", attempt=entry.attempt + 1)
        self.ledger.put([replace(running, code_version=self.code_version)])
        began = time.perf_counter()
        return work(video_id), time.perf_counter() - began

    def _settle(
        self, video_id: str, job: "Future[tuple[Outcome, float]]", inputs: Mapping[str, Input]
    ) -> BaseException | None:
        """Write what became of one video and return its error. The future holds whatever the work raised: it is the one
        barrier between a video's fault and the batch."""
        error = job.exception()
        if isinstance(error, (*NOT_THE_VIDEOS_FAULT, ContextLost)):
            raise error  # a lost context: the video stays `running`, as one whose process died, and is left alone after three
        entry = self.ledger.get(video_id)[self.stage]
        if error is None:
            self._tell(entry, *job.result(), inputs)
        else:
            self.ledger.put([replace(entry, state="failed", reason=reason_of(error), detail=str(error))])
            self._complain(video_id, error)
        return error

    def _complain(self, video_id: str, error: BaseException) -> None:
        """In the run's log, and among the events of the video's partition."""
        unforeseen = not isinstance(error, KhungError)
        self.context.log.error(f"{video_id}: {error}", exc_info=error if unforeseen else None)
        said = {"failed": reason_of(error), "detail": str(error)}
        about = f"Failed: {error}"
        self.context.log_event(dg.AssetObservation(self.stage, partition=video_id, metadata=said, description=about))

    def _put_back(
        self, video_ids: Sequence[str], before: Mapping[str, Mapping[str, LedgerEntry]], fault: Exception
    ) -> None:
        """They were not at fault: as if this run had not begun on them."""
        entries = [self.ledger.get(v).get(self.stage) for v in video_ids]
        begun = [e for e in entries if e and e.state == "running"]
        self.ledger.put([put_back(e, fault, before[e.video_id].get(self.stage), utc_now()) for e in begun])

    def _tell(self, entry: LedgerEntry, outcome: Outcome, took_s: float, inputs: Mapping[str, Input]) -> None:
        """The ledger first: it is the truth, and a lost event costs a repetition at most."""
        said = {"fingerprint": outcome.fingerprint, "reason": outcome.reason, "detail": outcome.detail}
        done = replace(entry, state="done", attempt=0, **said)
        known = self.ledger.get(entry.video_id)
        later = outdated(known, self.stage) if entry.fingerprint != outcome.fingerprint else []
        invited = [LedgerEntry(entry.video_id, stage, "waiting") for stage in outcome.invites if stage not in known]
        self.ledger.put([done, *later, *invited])
        self.context.log_event(
            dg.AssetMaterialization(
                self.stage,
                partition=entry.video_id,
                metadata={**outcome.metadata, "took_s": round(took_s, 3), "fingerprint": outcome.fingerprint},
                tags=version_tags(self.code_version, outcome.fingerprint, inputs),
            )
        )


def progress_in(ledger: Ledger, stage: str, video_id: str) -> Callable[[dict], None]:
    """For a child that tells `{"pts_ms": t}`: how far it is, into the ledger, where people and programs look. Seldom enough to
    cost nothing."""
    told = [time.monotonic()]

    def hear(news: dict) -> None:
        if time.monotonic() - told[0] < PROGRESS_EVERY_S:
            return
        told[0] = time.monotonic()
        entry = ledger.get(video_id).get(stage)
        if entry and entry.state == "running":
            ledger.put([replace(entry, detail=f"at {format_ms(news['pts_ms'])}")])

    return hear


@contextmanager
def _pool(workers: int) -> Iterator[ThreadPoolExecutor]:
    """A pool that drops what has not begun when the run is stopped."""
    pool = ThreadPoolExecutor(workers)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
