"""A long video is found by a tenth of its frames first, and by each of them once afterwards: sensors, shards and API together."""

import io
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import numpy as np
import pytest
from fastapi.testclient import TestClient
from kitchen import InventedEmbedder, Kitchen, kitchen_in
from PIL import Image

from assets.preview import spread, wants_preview
from khung.api.app import create_app
from khung.settings import Settings
from khung.stores import LedgerEntry
from khung.vision.load import fingerprints
from orchestration import sensors
from orchestration.build import build_defs

FRAMES = 45


class CountingEmbedder(InventedEmbedder):
    """Remembers how many pictures it was shown."""

    seen = 0

    def embed_images(self, images):
        self.seen += len(images)
        return super().embed_images(images)


def night(kitchen: Kitchen, *, without: str = "") -> list[str]:
    """Tick and run until nothing is asked; the jobs that ran. `without`: a job that the machine has no time for yet."""
    ran: list[str] = []
    while requests := [r for r in _asked(kitchen) if r[0] != without]:
        for job, request in requests:
            assert kitchen.run(job, tags=dict(request.tags)).success, job
            ran.append(job)
    return ran


def _asked(kitchen: Kitchen) -> Iterator[tuple[str, dg.RunRequest]]:
    for sensor in (sensors.stages_sensor, sensors.shards_sensor, sensors.snapshot_sensor):
        context = dg.build_sensor_context(instance=kitchen.instance, resources=kitchen.plain)
        for request in sensor.evaluate_tick(context).run_requests or []:
            yield request.job_name or sensor.job_name, request


@pytest.fixture
def kitchen(instance, tmp_path: Path) -> Kitchen:
    """A video that the keyframes stage has invited, with a picture for each keyframe."""
    kitchen = kitchen_in(tmp_path, instance)
    kitchen.stock("long", upto="keyframes", frames=FRAMES)
    kitchen.ledger.put([LedgerEntry("long", "preview", "waiting")])
    kitchen.ledger.put([LedgerEntry("long", "descriptions", "done", fingerprint="none needed here")])
    out = io.BytesIO()
    Image.new("RGB", (16, 9)).save(out, "JPEG")
    for keyframe in kitchen.library.keyframes("long"):
        kitchen.library.put_image("long", keyframe.frame_index, "master.jpg", out.getvalue())
    return kitchen


def test_first_a_tenth_and_then_every_frame_once(kitchen):
    embedder = CountingEmbedder(fingerprints(kitchen.settings).embedder)
    stores = {"ledger": kitchen.ledger, "library": kitchen.library}
    vars(kitchen)["defs"] = build_defs(kitchen.settings, stores | {"embedder": embedder})
    by_preview = {f"long/{keyframe.frame_index}" for keyframe in spread(kitchen.library.keyframes("long"))}
    ((job, request),) = _asked(kitchen)
    assert (job, request.tags["dagster/priority"]) == ("make_preview", "10")

    ran = night(kitchen, without="make_embeddings")
    assert ran == ["make_preview", "make_shard_indices", "make_search_snapshot"]
    with TestClient(create_app(kitchen.settings, embedder=embedder)) as client:
        hits = client.get("/v1/search", params={"q": "anything", "limit": 50}).json()["hits"]
        assert {hit["frame"]["id"] for hit in hits} <= by_preview and hits
        told = client.get("/v1/videos/long").json()
        assert told["video"]["preview"] and told["total_frames"] == len(by_preview) == 5
        assert client.get("/v1/library").json()["videos"][0]["state"] == "preview"
        assert "Tìm được một phần" in client.get("/library?ui=vi").text
        for page in (f"/frame/{hits[0]['frame']['id']}?ui=en", "/video/long?ui=en"):
            assert "found by 5 frames spread over the video" in client.get(page).text

    night(kitchen)
    assert embedder.seen == FRAMES  # the tenth was not embedded again
    with TestClient(create_app(kitchen.settings, embedder=embedder)) as client:
        told = client.get("/v1/videos/long", params={"limit": 1000}).json()
        ids = [frame["id"] for frame in told["frames"]]
        assert len(ids) == len(set(ids)) == FRAMES and by_preview < set(ids)
        assert not told["video"]["preview"]
        assert client.get("/v1/library").json()["videos"][0]["state"] == "searchable"
    assert not [key for key in kitchen.library.archive.keys("videos/long/") if "preview" in key]


def test_the_audit_knows_a_preview(kitchen):
    night(kitchen, without="make_embeddings")
    result = kitchen.run("audit")
    assert all(check.passed for check in result.get_asset_check_evaluations())


def test_what_comes_while_a_shard_is_sealed_goes_into_the_next_seal(kitchen, monkeypatch):
    from assets import shard_indices

    really = shard_indices.Sealing._anew

    def slowly(self, *given):
        kitchen.ledger.put([LedgerEntry("long", "embeddings", "done", fingerprint="meanwhile")])
        return really(self, *given)

    ((job, request),) = _asked(kitchen)
    assert kitchen.run(job, tags=dict(request.tags)).success
    monkeypatch.setattr(shard_indices.Sealing, "_anew", slowly)
    assert kitchen.run("make_shard_indices", tags={"dagster/partition": _shard()}).success
    assert kitchen.ledger.get("long")["shard_indices"].state == "waiting"


def _shard() -> str:
    from khung.shards.manifest import shard_of

    return f"{shard_of('long', 16):02}"


def test_a_preview_is_spread_over_the_whole_video(kitchen):
    keyframes = kitchen.library.keyframes("long")
    chosen = spread(keyframes)
    assert [keyframes.index(one) // 10 for one in chosen] == [0, 1, 2, 3, 4]
    assert spread(keyframes[:1]) == keyframes[:1]


@pytest.mark.parametrize(
    ("changes", "keyframes", "wanted"),
    [
        ({}, 413, False),  # the demo, and every clip of the benchmark together
        ({}, 2000, True),
        ({"embedder": {"name": "siglip2-base"}}, 200, True),
        ({"preview_from": 0}, 10**6, False),
        ({"preview_from": 10}, 10, True),
    ],
)
def test_it_is_made_where_it_pays(changes, keyframes, wanted):
    assert wants_preview(keyframes, Settings(_env_file=None, **changes)) is wanted


def test_a_picture_of_a_preview_is_what_the_vectors_say(kitchen):
    night(kitchen, without="make_embeddings")
    frames, vectors = kitchen.library.preview("long", fingerprints(kitchen.settings).embedder)
    assert vectors.shape[0] == len(frames) == 5 and np.isfinite(vectors).all()
