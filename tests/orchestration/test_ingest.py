"""`python -m orchestration.ingest`, as `khung ingest` starts it: a process of its own against a persistent instance."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest
from awkward_files import clip
from ear import listening

from khung.settings import Settings
from khung.shards.snapshot import current
from khung.stores.ledger_sqlite import SqliteLedger
from khung.stores.library import Library
from khung.stores.open import open_archive
from ops.intake import register
from orchestration.turn import turn

pytestmark = pytest.mark.models
ROOT = Path(__file__).parent.parent.parent


@dataclass
class Told:
    """What a call said."""

    code: int
    events: list[dict]
    errors: str

    def all(self, name: str) -> list[dict]:
        return [event for event in self.events if event["event"] == name]


@dataclass
class Shop:
    """A home, and the command that works on it."""

    home: Path
    models_dir: Path

    @property
    def settings(self) -> Settings:
        return Settings(home=self.home / "khung", _env_file=None)

    @property
    def ledger(self) -> SqliteLedger:
        return SqliteLedger(self.settings.ledger_path)

    def ingest(self, *arguments: object, **environment: str) -> Told:
        process = self.start(*arguments, **environment)
        output, errors = process.communicate()
        return Told(process.returncode, [json.loads(line) for line in output.splitlines()], errors)

    def start(self, *arguments: object, **environment: str) -> "subprocess.Popen[str]":
        """From a folder of its own, so that no path may depend on where it is called."""
        own = {
            "KHUNG_HOME": "khung",
            "KHUNG_MODELS_DIR": str(self.models_dir),
            "DAGSTER_HOME": str(self.home / "dagster"),
            "PYTHONPATH": str(ROOT),
        }
        return subprocess.Popen(
            [sys.executable, "-m", "orchestration.ingest", *map(str, arguments)],
            cwd=self.home,
            env=os.environ | own | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


PUBLISH = ["shard_indices", "search_snapshot"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> Shop:
    home = tmp_path_factory.mktemp("shop")
    (home / "dagster").mkdir()
    (home / "dagster" / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    (home / "films").mkdir()
    clip(home / "films" / "phố.mp4", frames=60)
    clip(home / "films" / "chợ.mp4", frames=45)
    (home / "films" / "empty.mp4").touch()
    return Shop(home, models_dir)


@pytest.fixture(scope="module")
def heard() -> list[dict]:
    """What came to KHUNG_ALERT_URL at the first call."""
    return []


@pytest.fixture(scope="module")
def first(shop: Shop, heard: list[dict]) -> Told:
    with listening() as ear:
        told = shop.ingest("films", KHUNG_ALERT_URL=ear.url)
        heard += ear.heard
    return told


def test_a_folder_is_brought_up_to_a_snapshot_and_the_bad_file_is_reported(shop, first):
    assert first.code == 1, first.errors
    assert {event["video_id"] for event in first.all("file")} == {"pho", "cho", "empty"}
    (failed,) = first.all("failed")
    assert (failed["video_id"], failed["stage"], failed["reason"]) == ("empty", "videos", "empty_file")
    assert current(shop.settings.shelf_dir)
    assert shop.ledger.counts()["shard_indices"] == {"done": 2}


def test_whoever_is_to_be_told_hears_of_the_snapshot_and_of_the_bad_file(first, heard):
    published, failed = heard
    assert (published["event"], published["job"], published["videos"]) == ("published", "khung ingest", 2)
    assert failed["event"] == "failed" and [v["video"] for v in failed["videos"]] == ["empty"]
    assert "empty (videos): empty_file" in failed["text"]


def test_every_stage_is_one_run_for_all_videos(first):
    runs = [(event["asset"], event["partitions"]) for event in first.all("run")]
    assert ("embeddings", ["cho", "pho"]) in runs
    assert runs[-1][0] == "search_snapshot"


def test_the_second_time_nothing_is_left_to_do(shop, first):
    before = current(shop.settings.shelf_dir)
    again = shop.ingest("films/phố.mp4", "films/chợ.mp4")
    assert (again.code, again.all("run")) == (0, [])
    assert current(shop.settings.shelf_dir) == before


def test_the_runs_are_in_the_persistent_instance(shop, first):
    with dg.DagsterInstance.from_config(str(shop.home / "dagster")) as instance:
        assert {run.job_name for run in instance.get_runs()} >= {"make_videos", "make_shots", "make_search_snapshot"}
        assert instance.get_materialized_partitions(dg.AssetKey("keyframes")) == {"cho", "pho"}


def test_a_known_content_is_linked_and_a_failed_file_is_tried_again(shop, first):
    copy = shop.home / "another name.mp4"
    copy.write_bytes((shop.home / "films" / "phố.mp4").read_bytes())
    told = shop.ingest(copy, "films/empty.mp4")
    assert told.code == 1
    assert [(e["video_id"], e["linked_to"]) for e in told.all("file")] == [("another_name", "pho"), ("empty", "")]
    assert [event["asset"] for event in told.all("run")] == ["videos"]  # the empty file, once more


def test_without_model_files_it_says_the_cure_and_loses_nothing(shop, first, tmp_path):
    new = clip(shop.home / "new.mp4", frames=33)
    told = shop.ingest(new, KHUNG_MODELS_DIR=str(tmp_path))
    assert told.code == 2
    assert "khung models pull" in told.errors.splitlines()[-1]
    assert shop.ledger.get("new")["videos"].state == "done"
    assert shop.ingest(new).code == 0
    assert shop.ledger.get("new")["shard_indices"].state == "done"


def test_without_a_path_it_finishes_what_is_pending_and_retry_tries_what_failed(shop, first):
    assert shop.ingest().code == 0
    (shop.home / "films" / "empty.mp4").touch()
    retried = shop.ingest("--retry")
    assert retried.code == 1
    assert [event["asset"] for event in retried.all("run")] == ["videos"]
    assert {event["video_id"] for event in retried.all("failed")} == {"empty"}


def test_what_fails_without_having_been_named_is_told_too(shop, first):
    lost = clip(shop.home / "lost.mp4", frames=41)
    register(lost, shop.ledger, Library(open_archive(shop.settings)))
    lost.unlink()
    told = shop.ingest()
    assert told.code == 1
    assert {event["video_id"] for event in told.all("failed")} == {"lost"}
    assert shop.ingest().code == 0  # it was told once


def test_a_name_that_is_no_utf8_and_a_folder_of_models_that_is_not_absolute(shop, first):
    name = clip(shop.home / "bad.mp4", frames=39).rename(os.fsdecode(os.fsencode(str(shop.home)) + b"/bad\xff.mp4"))
    command = [sys.executable, "-m", "khung", "ingest", str(name)]
    own = {"KHUNG_HOME": "khung", "DAGSTER_HOME": str(shop.home / "dagster"), "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    own["KHUNG_MODELS_DIR"] = os.path.relpath(shop.models_dir, shop.home)
    told = subprocess.run(command, cwd=shop.home, env=os.environ | own, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert "1 of 1 files" in told.stdout


def test_a_second_one_says_that_it_waits_for_its_turn(shop, first):
    with turn(shop.settings):
        second = shop.start("films/phố.mp4")
        assert json.loads(second.stdout.readline()) == {"event": "waiting"}
        assert second.poll() is None
    second.communicate()
    assert second.returncode == 0


def test_a_preview_is_published_before_the_rest(shop, first):
    told = shop.ingest(clip(shop.home / "long.mp4", frames=52), KHUNG_PREVIEW_FROM="1")
    assert told.code == 0, told.errors
    made = [event["asset"] for event in told.all("run")]
    assert made[3:] == ["preview", *PUBLISH, "embeddings", "descriptions", *PUBLISH]
    assert shop.ledger.get("long")["shard_indices"].state == "done"


def test_what_is_not_there_is_a_wrong_call(shop):
    told = shop.ingest("nowhere.mp4")
    assert told.code == 2
    assert "nowhere.mp4" in told.errors
