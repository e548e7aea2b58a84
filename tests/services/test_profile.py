"""The services profile by hand: the processes of deploy/compose.yaml, started one by one, and what people then do.

PostgreSQL, S3, Valkey and OpenSearch are real servers of this test alone, because it kills them. A bundled clip goes through
Dagster with its runs in PostgreSQL; two `khung serve` processes answer over HTTP. The parts of the story follow one another.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import servers

pytestmark = [pytest.mark.services, pytest.mark.models]
ROOT = Path(__file__).parent.parent.parent
PATIENCE_S = 240
HEALTH = """{ instance { daemonHealth { allDaemonStatuses { daemonType healthy } } }
              runsOrError { ... on Runs { count } } }"""


def until(true: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """What `true` gives once it gives something; a machine may be slow, so it is asked for long."""
    end = time.monotonic() + patience_s
    while True:
        try:
            if found := true():
                return found
        except httpx.TransportError:
            pass
        assert time.monotonic() < end, f"{what}: it did not happen"
        time.sleep(0.2)


@dataclass
class Town:
    """The servers, and processes of khung with their own homes that know of one another by settings alone."""

    folder: Path
    models_dir: Path
    postgres: servers.Server
    s3: servers.Server
    valkey: servers.Server
    opensearch: servers.Server

    def environment(self, home: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("KHUNG_", "DAGSTER_"))}
        return kept | {
            "KHUNG_HOME": str(self.folder / home),
            "KHUNG_INBOX": str(self.folder / "inbox"),
            "KHUNG_MODELS_DIR": str(self.models_dir),
            "KHUNG_SERVE_POLL_S": "0.3",
            "KHUNG_STORES_POSTGRES_URL": self.postgres.url,
            "KHUNG_STORES_DAGSTER_URL": self.postgres.url,
            "KHUNG_STORES_ARCHIVE_URL": self.s3.url,
            "KHUNG_STORES_REDIS_URL": self.valkey.url,
            "KHUNG_STORES_OPENSEARCH_URL": self.opensearch.url,
            "PYTHONPATH": str(ROOT),
        }

    def khung(self, home: str, *arguments: object, code: int = 0) -> Any:
        """A command of khung, its answer as JSON."""
        command = [sys.executable, "-m", "khung", *map(str, arguments), "--json"]
        done = subprocess.run(command, env=self.environment(home), cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout) if done.stdout else None

    @contextmanager
    def serve(self, home: str) -> Iterator[httpx.Client]:
        """`khung serve` as a process of its own, with its snapshot in service, until the block ends."""
        port = servers.free_port()
        with (
            self._process(home, [sys.executable, "-m", "khung", "serve", "--port", port], self.folder),
            httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
        ):
            until(lambda: client.get("/ready").status_code == 200, "khung serve has the snapshot")
            yield client

    @contextmanager
    def dagster(self, home: str) -> Iterator[httpx.Client]:
        """Dagster's UI and daemon until the block ends, as deploy/compose.yaml starts them."""
        folder, port, programs = self.folder / f"{home}-dagster", servers.free_port(), Path(sys.executable).parent
        folder.mkdir()
        shutil.copy(ROOT / "dagster.yaml", folder)
        workspace = ["-w", ROOT / "workspace.yaml"]
        ui = [programs / "dagster-webserver", *workspace, "-h", "127.0.0.1", "-p", port]
        with (
            self._process(home, ui, folder),
            self._process(home, [programs / "dagster-daemon", "run", *workspace], folder),
            httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
        ):
            until(lambda: client.get("/server_info").status_code == 200, "Dagster's UI answers")
            yield client

    @contextmanager
    def _process(self, home: str, command: Sequence[object], folder: Path) -> Iterator[None]:
        """A process with its children, until the block ends; its output lies beside its home."""
        environment = self.environment(home) | {"DAGSTER_HOME": str(folder)}
        with open(self.folder / f"{home}.log", "ab") as log:
            process = subprocess.Popen(
                [*map(str, command)], env=environment, cwd=folder, stdout=log, stderr=log, start_new_session=True
            )
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> Iterator[Town]:
    with ExitStack() as started:
        made = []
        for start in (servers.postgres, servers.minio, servers.valkey, servers.opensearch):
            made.append(start())
            started.callback(made[-1].close)
        yield Town(tmp_path_factory.mktemp("town"), models_dir, *made)


@pytest.fixture(scope="module")
def ingested(town: Town, clips: Path) -> Town:
    told = town.khung("kitchen", "ingest", clips / "googlework_short.mp4")
    assert told["ok"] and {e["asset"] for e in told["events"] if e["event"] == "run"} >= {"videos", "search_snapshot"}
    return town


@pytest.fixture(scope="module")
def reader(ingested: Town) -> Iterator[httpx.Client]:
    with ingested.serve("reader") as client:
        yield client


def ask(client: httpx.Client, text: str, **more: object) -> dict[str, Any]:
    answer = client.get("/v1/search", params={"q": text, "limit": 5} | more)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_clip_is_in_every_store_and_the_runs_are_in_postgresql(ingested: Town) -> None:
    with psycopg.connect(ingested.postgres.url) as db:
        runs, failed = db.execute("SELECT count(*), count(*) FILTER (WHERE status <> 'SUCCESS') FROM runs").fetchone()
        (frames,) = db.execute("SELECT sum(frames) FROM khung.shards").fetchone()
        (snapshot,) = db.execute("SELECT snapshot_id FROM khung.pointer_moves").fetchone()
    assert runs >= 7 and failed == 0 and frames > 10
    index = httpx.get(f"{ingested.opensearch.url}/khung-frames-{snapshot}/_count").json()
    assert index["count"] == frames
    settings = httpx.get(f"{ingested.opensearch.url}/khung-frames-{snapshot}/_settings").json()
    assert settings[f"khung-frames-{snapshot}"]["settings"]["index"]["blocks"]["write"] == "true"
    kitchen = ingested.folder / "kitchen"
    assert not (kitchen / "archive").exists() and not (kitchen / "ledger.sqlite").exists()


def test_another_machine_finds_it_over_http(reader: httpx.Client) -> None:
    told = ask(reader, "người đi bộ trên phố")
    assert told["degraded"] == []
    hit = told["hits"][0]
    assert hit["frame"]["video_id"] == "googlework_short"
    assert {"vector", "text"} <= set(hit["channels"])
    picture = reader.get(f"/v1/images/{hit['frame']['id']}/thumb.webp")
    assert picture.status_code == 200 and picture.content[8:12] == b"WEBP"
    media = reader.get("/v1/videos/googlework_short/media", headers={"Range": "bytes=0-99"})
    assert media.status_code == 206 and len(media.content) == 100


def test_the_commands_see_the_same(ingested: Town, reader: httpx.Client) -> None:
    status = ingested.khung("reader", "status")
    assert status["snapshot"] == reader.get("/ready").json()["snapshot"]
    assert {entry["state"] for entry in status["videos"]} == {"done"}
    found = ingested.khung("terminal", "search", "người đi bộ trên phố")
    assert found["hits"][0]["record"]["keyframe"]["video_id"] == "googlework_short" and found["degraded"] == []
    findings = {f["what"]: f["state"] for f in ingested.khung("reader", "doctor")}
    assert {findings[name] for name in ("PostgreSQL", "S3", "OpenSearch", "Redis", "library")} == {"ok"}


def test_servers_share_their_answers(ingested: Town, reader: httpx.Client) -> None:
    with ingested.serve("other") as other:

        def shared() -> bool:
            """Not on a machine so busy that a channel, or the cache, is not waited for."""
            question = f"người {secrets.token_hex(4)}"
            first = ask(reader, question)
            if first["degraded"]:
                return False
            assert ask(other, question)["hits"] == first["hits"]
            return 'khung_cache_requests_total{layer="shared",result="hit"} 1.0' in other.get("/metrics").text

        until(shared, "an answer is shared")
        ingested.valkey.kill()
        until(lambda: ask(other, f"người nữa {secrets.token_hex(4)}")["degraded"] == [], "it goes on without")
    ingested.valkey.start()


def test_search_goes_on_without_postgresql_and_uploads_wait(ingested: Town, reader: httpx.Client) -> None:
    ingested.postgres.kill()
    question = secrets.token_hex(4)
    told = ask(reader, f"người đi bộ trên phố {question}")
    assert told["hits"] and told["degraded"] == []
    refused = reader.post("/v1/uploads", params={"name": "a.mp4"}, content=b"x")
    assert refused.status_code == 503 and refused.json()["title"] == "Store unavailable"
    assert "PostgreSQL does not answer" in reader.get("/v1/status").text
    with ingested.serve("reader") as restarted:  # it has its own copy of what is in service
        assert ask(restarted, f"phố {question}")["hits"]
    ingested.postgres.start()
    until(lambda: reader.get("/v1/status").status_code == 200, "PostgreSQL is back")
    until(lambda: reader.get("/v1/status").json()["rejected"] == "", "and nothing is amiss")


def test_without_opensearch_the_text_channels_are_named(ingested: Town, reader: httpx.Client) -> None:
    ingested.opensearch.kill()
    told = ask(reader, f"người đi bộ trên phố {secrets.token_hex(4)}")
    assert {part["channel"] for part in told["degraded"]} == {"text", "screen_text"}
    assert "vector" in told["hits"][0]["channels"] and not {"text", "screen_text"} & told["hits"][0]["channels"].keys()
    hard = reader.get("/v1/search", params={"q": "ocr:google"})
    assert hard.status_code == 503, "a condition that cannot be asked is an outage, never an empty answer"
    ingested.opensearch.start()
    until(lambda: ask(reader, f"người {secrets.token_hex(4)}")["degraded"] == [], "OpenSearch is back")
    snapshot = reader.get("/ready").json()["snapshot"]
    httpx.delete(f"{ingested.opensearch.url}/khung-frames-{snapshot}", timeout=60).raise_for_status()
    assert ask(reader, f"phố {secrets.token_hex(4)}")["degraded"] != []
    assert ingested.khung("kitchen", "repair") == {"snapshot": snapshot}
    until(lambda: ask(reader, f"người {secrets.token_hex(4)}")["degraded"] == [], "the index is written again")


@pytest.mark.timeout(1200)
def test_an_upload_goes_through_the_daemon_to_every_reader(ingested: Town, reader: httpx.Client, clips: Path) -> None:
    """Dagster's daemon and UI as processes, on another machine than the one before; the inbox is a folder that they share."""
    before = reader.get("/ready").json()["snapshot"]
    with ingested.dagster("second-kitchen") as ui:
        sent = reader.post(
            "/v1/uploads", params={"name": "vẹt.mp4"}, content=(clips / "cockatoo_cc0.mp4").read_bytes(), timeout=120
        )
        assert sent.status_code == 201
        until(lambda: reader.get("/ready").json()["snapshot"] != before, "the daemon publishes", 900)
        asked = ui.post("/graphql", json={"query": HEALTH}).json()["data"]
    assert {d["daemonType"] for d in asked["instance"]["daemonHealth"]["allDaemonStatuses"] if d["healthy"]} >= {
        "SENSOR"
    }
    assert asked["runsOrError"]["count"] >= 10, "the UI shows the runs of both kitchens: seven and three"
    found = ask(reader, "con vẹt trắng")
    assert "vet" in [hit["frame"]["video_id"] for hit in found["hits"]] and found["degraded"] == []
    assert reader.get("/v1/videos").json()["total"] == 2
