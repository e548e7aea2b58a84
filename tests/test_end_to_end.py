"""From files in the inbox to an answer over HTTP: sensors, partitions, materialisations, snapshot, search; real clips, real
models, a real Dagster instance and a real server. Every bad file of the house lies in the same batch."""

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import httpx
import pytest
from awkward_files import BAD, ODD, WILD_NAMES, clip, make_all

from assets.partitions import VIDEOS
from khung.api.app import create_app
from khung.records import VIDEO_ID
from khung.settings import Settings
from khung.shards.shelf import Shelf
from khung.shots.transnet import TransNet
from khung.stores import STAGES, LedgerEntry
from khung.stores.archive_local import LocalArchive
from khung.stores.ledger_sqlite import SqliteLedger
from khung.stores.library import Library
from khung.text.slug import video_id_of
from khung.vision import files
from khung.vision.load import load_vision
from orchestration.arrivals import arrivals_sensor
from orchestration.build import build_defs
from orchestration.sensors import inbox_sensor, shards_sensor, snapshot_sensor, stages_sensor

pytestmark = pytest.mark.models

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
CLIPS = ("googlework_short.mp4", "nasa_13013.mp4", "cockatoo_cc0.mp4")
SENSORS = (inbox_sensor, arrivals_sensor, stages_sensor, shards_sensor, snapshot_sensor)


@dataclass
class Night:
    """A home, its definitions and instance, and what a daemon would do with them."""

    settings: Settings
    defs: dg.Definitions
    instance: dg.DagsterInstance
    plain: dict[str, object]
    runs: list[dg.ExecuteInProcessResult]

    @property
    def ledger(self) -> SqliteLedger:
        return self.plain["ledger"]

    def work(self) -> int:
        """Tick all sensors and run what they ask, until two rounds ask nothing. Returns the number of runs."""
        seen, idle, began = set(), 0, len(self.runs)
        while idle < 2:
            requests = [(sensor, r) for sensor in SENSORS for r in self._tick(sensor) if r.run_key not in seen]
            seen.update(request.run_key for _, request in requests)
            self.runs += [self._run(request.job_name or sensor.job_name, request) for sensor, request in requests]
            idle = 0 if requests else idle + 1
        return len(self.runs) - began

    def _tick(self, sensor: dg.SensorDefinition) -> list[dg.RunRequest]:
        context = dg.build_sensor_context(instance=self.instance, resources=self.plain)
        return sensor.evaluate_tick(context).run_requests or []

    def _run(self, job: str, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        config = request.run_config if job == "process_selection" else QUIET | request.run_config
        return self.defs.resolve_job_def(job).execute_in_process(
            instance=self.instance, tags=dict(request.tags), run_config=config, raise_on_error=False
        )

    def entries(self, video_id: str) -> dict[str, LedgerEntry]:
        return self.ledger.get(video_id)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory, clips: Path, models_dir: Path) -> Iterator[Night]:
    """The morning after: everything that lay in the inbox is through."""
    home = tmp_path_factory.mktemp("night")
    settings = Settings(home=home / "khung", models_dir=models_dir, _env_file=None)
    make_all(settings.inbox_dir)
    for name in CLIPS:
        shutil.copy(clips / name, settings.inbox_dir)
    shutil.copy(clips / CLIPS[1], settings.inbox_dir / "the same under another name.mp4")
    vision = load_vision(settings)
    plain = {
        "settings": settings,
        "shelf": Shelf(settings.shelf_dir),
        "ledger": SqliteLedger(settings.ledger_path),
        "library": Library(LocalArchive(settings.archive_dir)),
        "transnet": TransNet(files.path("transnetv2.onnx", models_dir)),
        "embedder": vision.embedder,
        "describer": vision.describer,
        "reader": vision.reader,
    }
    (home / "dagster").mkdir()
    with dg.instance_for_test(temp_dir=str(home / "dagster")) as instance:
        night = Night(settings, build_defs(settings, plain), instance, plain, [])
        night.work()
        yield night


@pytest.mark.parametrize("name", [*CLIPS, *ODD, *WILD_NAMES])
def test_sound_videos_pass_every_stage(night, name):
    video_id = video_id_of(name)
    assert VIDEO_ID.match(video_id)
    entries = night.entries(video_id)
    assert {stage: entries[stage].state for stage in STAGES} == dict.fromkeys(STAGES, "done")


@pytest.mark.parametrize(("name", "reason"), BAD.items())
def test_each_bad_file_ends_with_its_reason_and_a_sentence(night, name, reason):
    # two files may want one id: the ledger gave the second a suffix
    ids = [video_id_of(name), video_id_of(name) + "_2"] if name.startswith("sound") else [video_id_of(name)]
    entries = [night.entries(video_id)["videos"] for video_id in ids]
    assert {(e.state, e.reason) for e in entries} == {("failed", reason)}
    assert all(len(e.detail) > 10 for e in entries)


def test_nothing_is_left_waiting_or_running(night):
    assert {entry.state for entry in night.ledger.find()} == {"done", "failed", "linked"}


def test_two_videos_of_one_name_are_both_there(night):
    assert [night.entries(v)["shard_indices"].state for v in ("same_name", "same_name_2")] == ["done", "done"]


def test_the_same_content_is_linked_and_has_no_partition(night):
    linked = [entry for entry in night.ledger.find(state="linked")]
    assert [(e.video_id, e.stage) for e in linked] == [("the_same_under_another_name", "videos")]
    assert "nasa_13013" in linked[0].detail
    assert linked[0].video_id not in night.instance.get_dynamic_partitions(VIDEOS.name)


def test_dagster_shows_the_same_as_the_ledger(night):
    for stage in ("videos", "shots", "keyframes", "embeddings", "descriptions"):
        done = {entry.video_id for entry in night.ledger.find(stage=stage, state="done")}
        assert night.instance.get_materialized_partitions(dg.AssetKey(stage)) == done


def test_only_the_runs_with_bad_videos_failed_and_they_say_which(night):
    failed = [run for run in night.runs if not run.success]
    assert failed
    events = [e for run in failed for e in run.all_events if e.is_step_failure]
    tables = [e.step_failure_data.user_failure_data.metadata["failed"].value for e in events]
    for reason in set(BAD.values()):
        assert any(f"`{reason}`" in table for table in tables)


def test_metadata_that_people_want_to_look_at(night):
    shown = night.instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=dg.AssetKey("keyframes"), asset_partitions=["googlework_short"]), limit=1
    )
    metadata = shown.records[0].asset_materialization.metadata
    assert metadata["contact_sheet"].value.startswith("![contact sheet](data:image/webp;base64,")
    assert metadata["keyframes"].value >= 20
    assert metadata["took_s"].value > 0


def test_the_cut_tail_says_so(night):
    assert "truncated_tail" in night.plain["library"].video("cut_tail").warnings


def test_a_second_night_does_no_work(night):
    assert night.work() == 0


# -- the service over it ----------------------------------------------------------------------------------------------------


@contextmanager
def serving(settings: Settings, embedder: object) -> Iterator[httpx.Client]:
    """The real application behind a real server on a free port."""
    import uvicorn

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    app = create_app(settings, embedder=embedder)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", lifespan="on"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            _until(lambda: server.started and client.get("/ready").status_code == 200)
            yield client
    finally:
        server.should_exit = True
        thread.join()


def _until(true, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "It did not happen in time."
        time.sleep(0.1)


@pytest.fixture(scope="module")
def client(night) -> Iterator[httpx.Client]:
    with serving(night.settings, night.plain["embedder"]) as client:
        yield client


@pytest.mark.parametrize(
    ("question", "video"),
    [
        ("người đi bộ trên phố", "googlework_short"),
        ("con vẹt trắng", "cockatoo_cc0"),
        ("a white parrot", "cockatoo_cc0"),
    ],
)
def test_questions_find_their_video_over_http(client, question, video):
    answer = client.get("/v1/search", params={"q": question, "limit": 5}).json()
    assert answer["degraded"] == []
    assert video in [hit["frame"]["video_id"] for hit in answer["hits"]]


def test_without_marks_it_is_found_too(client):
    marked, plain = (
        client.get("/v1/search", params={"q": q, "limit": 5}).json()["hits"]
        for q in ("người đi bộ trên phố", "nguoi di bo tren pho")
    )
    assert {h["frame"]["video_id"] for h in marked} & {h["frame"]["video_id"] for h in plain}


def test_a_clip_that_comes_alone_is_found_after_three_runs(night, client):
    clip(night.settings.inbox_dir / "late.mp4", 60)
    assert night.work() == 3
    assert [run.job_def.name for run in night.runs[-3:]] == [
        "process_selection",
        "make_shard_indices",
        "make_search_snapshot",
    ]
    _until(lambda: client.get("/v1/videos/late").status_code == 200)
