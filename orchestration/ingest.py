"""`python -m orchestration.ingest [--retry] PATH…`: register files and bring the whole library up to a new snapshot, in this process.

Every stage runs as a Dagster run against the persistent instance, so the UI shows the same as for runs of the daemon. What happens
goes to stdout, one JSON object a line, the last one `over`; each video's state is in the ledger all the while. Without a path it
catches up; `--retry` tries everything again that failed. With KHUNG_ALERT_URL failures and new snapshots are told there too.
Exit code 0: all of it can be found; 1: some videos failed, the others can be found; 2: it could not be done.
"""

import argparse
import gc
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import dagster as dg
from dagster._core.storage.tags import USER_TAG

from assets.catalog import VIDEO_STAGES, empty_shards, heads, in_service, pending, sealable, unready
from assets.partitions import SHARDS
from khung.errors import ConfigError, KhungError
from khung.settings import Settings, settings
from khung.shards.shelf import Shelf, open_shelf
from khung.stores import BY_INVITATION, MAX_ATTEMPTS, Ledger
from khung.stores.library import Library
from khung.stores.open import open_archive, open_ledger
from ops.intake import register_all
from orchestration import messages
from orchestration.build import build_defs
from orchestration.faults import innermost
from orchestration.inbox import arrivals
from orchestration.messages import Message
from orchestration.ranges import in_flight, job_name, range_tags, ranges, sync_partitions
from orchestration.turn import taken, turn

ROOT = Path(__file__).parent.parent
VIDEOS_A_RUN = 500  # one model load for all of them
PUBLISHED_AFTER = ("preview", "descriptions")  # a playable copy is not waited for
NAME = "khung ingest"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True, slots=True)
class Ingest:
    """One walk through the library, stage by stage."""

    instance: dg.DagsterInstance
    defs: dg.Definitions
    ledger: Ledger
    library: Library
    shelf: Shelf
    settings: Settings

    def bring(self, paths: Sequence[Path], retry: bool = False) -> bool:
        """Register the files, make everything that is pending, publish. True when none of these files failed, nor any other that was tried
        meanwhile; `retry`: nor any of those that failed before."""
        known, unreadable = register_all(paths, self.ledger, self.library)
        for video in known:
            tell("file", path=str(video.path), video_id=video.video_id, linked_to=video.linked_to)
        for path, error in unreadable.items():
            tell("unreadable", path=str(path), detail=str(error))
        meant = {video.linked_to or video.video_id for video in known}
        if retry:
            meant |= {e.video_id for state in ("failed", "running") for e in self.ledger.find(state=state)}
        self._again(meant)
        before = {(e.video_id, e.stage) for e in self.ledger.find(state="failed")}
        self.catch_up()
        failed = [
            e for e in self.ledger.find(state="failed") if e.video_id in meant or (e.video_id, e.stage) not in before
        ]
        for entry in failed:
            said = {"stage": entry.stage, "reason": entry.reason, "detail": entry.detail}
            tell("failed", video_id=entry.video_id, **said, extra=entry.stage in BY_INVITATION)
        bad = [entry for entry in failed if entry.stage not in BY_INVITATION]
        if bad or unreadable:
            said = " ".join([f"{len(bad)} videos failed.", *map(str, unreadable.values())])
            alert(self.settings, messages.failed(NAME, said, bad))
        return not unreadable and not bad

    def catch_up(self) -> None:
        """Every stage of every video that is pending; when there are previews, and when all is described, the shards that are
        behind and a snapshot of them."""
        for stage in VIDEO_STAGES:
            keys = sync_partitions(self.instance, self.ledger)
            wanted = {entry.video_id for entry in pending(self.ledger, stage)}
            self._make(stage, keys, wanted, unready(self.ledger, stage, keys))
            if stage in PUBLISHED_AFTER:
                self._publish()

    def _publish(self) -> None:
        keys, count = SHARDS.get_partition_keys(), self.settings.shard_count
        dirty = {f"{index:02}" for index in sealable(self.ledger, count, "")}
        self._make("shard_indices", keys, dirty, empty_shards(self.ledger, keys, count))
        newest = sorted(heads(self.ledger, self.settings.shard_count).values())
        if newest != in_service(self.shelf):
            tell("run", asset="search_snapshot", partitions=[])
            run = self._run("search_snapshot", {})
            for made in run.asset_materializations_for_node("search_snapshot"):
                alert(self.settings, messages.published(made.metadata), run.run_id)

    def _make(self, asset: str, keys: Sequence[str], wanted: set[str], passable: set[str]) -> None:
        for part in ranges(keys, wanted - in_flight(self.instance, asset, keys), VIDEOS_A_RUN, passable):
            tell("run", asset=asset, partitions=part)
            self._run(asset, range_tags(part))

    def _run(self, asset: str, tags: dict[str, str]) -> dg.ExecuteInProcessResult:
        job = self.defs.resolve_job_def(job_name(asset))
        tags = tags | {USER_TAG: NAME}  # the UI shows who launched a run
        result = job.execute_in_process(instance=self.instance, tags=tags, run_config=QUIET, raise_on_error=False)
        gc.collect()  # a run's contexts are cycles that hold its models: the collector counts objects and not bytes, and would come late
        if not result.success and (fault := _fault(result, foreseen=asset != "search_snapshot")):
            raise KhungError(f"{asset}: {fault}")
        return result

    def _again(self, video_ids: set[str]) -> None:
        """Who names a file that failed before wants it tried again, and so one whose runs died."""
        entries = [e for v in video_ids for e in self.ledger.get(v).values()]
        stopped = [e for e in entries if e.state == "failed" or (e.state == "running" and e.attempt >= MAX_ATTEMPTS)]
        self.ledger.put(replace(e, state="waiting", attempt=0) for e in stopped)


def _fault(result: dg.ExecuteInProcessResult, *, foreseen: bool) -> str:
    """What stopped a run, in its own words; empty when it was no more than videos that failed, which the ledger tells."""
    steps = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    if foreseen and steps and all(step.user_failure_data for step in steps):
        return ""
    ends = [event.job_failure_data for event in result.all_events if event.is_job_failure]
    errors = [failure.error for failure in (*steps, *ends) if failure.error]
    return innermost(errors[0]) if errors else "The run failed without a word."


def tell(event: str, **more: object) -> None:
    """One JSON object on a line of its own, at once."""
    print(json.dumps({"event": event, **more}), flush=True)


def alert(settings: Settings, message: Message, run_id: str = "") -> None:
    """To KHUNG_ALERT_URL, as the sensors tell of the daemon's runs."""
    if wrong := messages.send(settings, message, job=NAME, run_id=run_id):
        print(wrong, file=sys.stderr)


def files_of(arguments: Sequence[str]) -> list[Path]:
    """The files that are named, and the videos in the folders that are; a folder without any is told. Raises ConfigError."""
    found: list[Path] = []
    for path in (Path(argument).absolute() for argument in arguments):
        if not path.exists():
            raise ConfigError(f"There is no {path}.", cure="Name files or folders that are there.")
        here = [arrival.path for arrival in arrivals(path)] if path.is_dir() else [path]
        if not here:
            tell("empty", path=str(path))
        found += here
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m orchestration.ingest")
    parser.add_argument("--retry", action="store_true", help="try everything again that failed")
    parser.add_argument("paths", nargs="*", help="files and folders")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code."""
    asked = _parser().parse_args(arguments)
    config = settings()
    config = config.model_copy(update={n: path.absolute() for n, path in config if isinstance(path, Path)})
    os.environ.update(
        {f"KHUNG_{n.upper()}": str(path) for n, path in config if isinstance(path, Path)}
    )  # for its children
    try:
        paths = files_of(asked.paths)
        os.chdir(ROOT)  # dagster.yaml names its folders from here
        os.environ.setdefault("DAGSTER_HOME", str(ROOT))
        if taken(config):
            tell("waiting")
        with turn(config), dg.DagsterInstance.get() as instance:
            library = Library(open_archive(config))
            ingest = Ingest(instance, build_defs(config), open_ledger(config), library, open_shelf(config), config)
            good = ingest.bring(paths, asked.retry)
    except KhungError as error:
        alert(config, messages.failed(NAME, str(error), ()))
        print(error, file=sys.stderr)
        return 2
    tell("over", good=good)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
