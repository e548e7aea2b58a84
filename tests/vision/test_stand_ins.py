"""A frame that the embedder fails on, all the way: into the fallback's space, found there, and embedded again later.

Real (tiny) models in the real kitchen. The frame is one row of pixels high: GME refuses its aspect ratio, SigLIP takes it.
"""

import io
from contextlib import nullcontext
from functools import cached_property

import dagster as dg
import numpy as np
import pytest
from kitchen import Kitchen, swept

from assets.vectors import STOOD_IN
from assets.versions import digest
from khung.errors import NotFound
from khung.search.encoders import QueryEncoders
from khung.search.engine import Engine, SearchRequest
from khung.settings import EmbedderSettings, Settings
from khung.shards.shelf import Shelf
from khung.vision.load import fingerprints, load_fallback
from orchestration.build import build_defs
from orchestration.ranges import range_tags

FRAMES, FALLEN = 6, 75
ALL_SHARDS = range_tags([f"{i:02}" for i in range(16)])


class RealKitchen(Kitchen):
    """With the embedder and the fallback of its settings."""

    @cached_property
    def defs(self) -> dg.Definitions:
        return build_defs(self.settings, {"ledger": self.ledger, "library": self.library})

    def picture(self, video_id: str, frame_index: int, pixels: np.ndarray) -> None:
        from PIL import Image

        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "JPEG", quality=95)
        self.library.put_image(video_id, frame_index, "master.jpg", out.getvalue())

    def publish(self) -> str:
        assert self.run("make_shard_indices", tags=ALL_SHARDS).success
        assert self.run("make_search_snapshot").success
        return Shelf(self.settings.shelf_dir).current() or ""

    def ask(self, request: SearchRequest):
        shelf = Shelf(self.settings.shelf_dir)
        with shelf.open(shelf.current() or "") as snapshot:
            return Engine(snapshot, encoder_of=QueryEncoders(self.settings).of).search(request)

    def entry(self, video_id: str = "film", stage: str = "embeddings"):
        return self.ledger.get(video_id)[stage]


@pytest.fixture
def kitchen(tiny, tmp_path, instance):
    """Two videos with pictures, ready to be embedded; one picture of `film` is a sliver."""
    from tests.support.tiny_models import picture

    models = tmp_path / "models"
    models.mkdir()
    (models / "gme-2b").symlink_to(tiny("gme"))
    (models / "siglip2-base").symlink_to(tiny("siglip2"))
    held = EmbedderSettings(name="gme-2b", dtype="float32", device="cpu", image_tokens=64, _env_file=None)
    settings = Settings(
        home=tmp_path, profile="gpu", models_dir=models, embedder=held, fallback_name="siglip2-base", _env_file=None
    )
    kitchen = RealKitchen(settings, swept(instance))
    kitchen.stock("film", "other", upto="keyframes", frames=FRAMES)
    for video_id in ("film", "other"):
        for n in range(FRAMES):
            kitchen.picture(video_id, n * 25, picture(n))
    kitchen.picture("film", FALLEN, np.zeros((1, 1000, 3), np.uint8))
    return kitchen


def metadata(result: dg.ExecuteInProcessResult, video_id: str) -> dict[str, object]:
    (event,) = [e for e in result.get_asset_materialization_events() if e.partition == video_id]
    return {name: value.value for name, value in event.materialization.metadata.items()}


@pytest.mark.torch
def test_a_frame_falls_back_is_found_and_is_embedded_again(kitchen, capsys):
    from tests.support.tiny_models import picture

    own, other = fingerprints(kitchen.settings).embedder, load_fallback(kitchen.settings).fingerprint

    made = kitchen.run("make_embeddings", tags=range_tags(["film", "other"]))
    assert made.success
    told = metadata(made, "film")
    assert (told["vectors"], told["stand_ins"], told["stand_in_model"]) == (FRAMES - 1, 1, other)
    assert (told["batches_halved"], told["frames_with_fewer_tokens"]) == (0, 0)
    assert f"{FALLEN}: " in told["waiting_to_be_embedded_again"]
    entry = kitchen.entry()
    assert (entry.state, entry.reason) == ("done", STOOD_IN)
    assert f"1 of {FRAMES} frames have vectors of siglip2-base and wait for gme-2b: {FALLEN}" in entry.detail
    assert kitchen.entry("other").reason == ""
    assert FALLEN not in kitchen.library.embeddings("film", own)[0]

    first = kitchen.publish()
    with Shelf(kitchen.settings.shelf_dir).open(first) as snapshot:
        assert (len(snapshot.vectors), len(snapshot.others[other]), snapshot.others[other].dim) == (
            2 * FRAMES - 1, 1, load_fallback(kitchen.settings).dim,
        )  # fmt: skip
        record = snapshot.records.frame(f"film/{FALLEN}")
        assert record.models["embedder"] == other
        assert snapshot.records.frame("film/0").models["embedder"] == own
    answer = kitchen.ask(SearchRequest(image=np.zeros((1, 1000, 3), np.uint8), text="đen"))
    assert "vector_fallback" not in [one.channel for one in answer.degraded]
    answer = kitchen.ask(SearchRequest("một khung hình", limit=50))
    assert (answer.degraded, answer.snapshot_id) == ([], first)
    assert f"film/{FALLEN}" in [hit.record.frame_id for hit in answer.hits]
    assert not kitchen.ask(SearchRequest(like=f"film/{FALLEN}")).degraded

    # nothing was mended: what fails again keeps its vector, and nothing has to be sealed anew
    before = kitchen.entry().fingerprint
    assert kitchen.run("embed_again_job").success
    assert (kitchen.entry().fingerprint, kitchen.entry().reason) == (before, STOOD_IN)
    assert kitchen.entry(stage="shard_indices").state == "done"

    kitchen.picture("film", FALLEN, picture(FALLEN))
    asked = []
    embed = kitchen.library.archive.get_bytes
    kitchen.library.archive.get_bytes = lambda key: asked.append(key) or embed(key)
    again = kitchen.run("embed_again_job")
    del kitchen.library.archive.get_bytes
    assert again.success
    assert [key for key in asked if key.endswith("master.jpg")] == [
        kitchen.library.image_key("film", FALLEN, "master.jpg")
    ], "exactly the frame that waited"
    assert (kitchen.entry().state, kitchen.entry().reason, kitchen.entry().detail) == ("done", "", "")
    assert metadata(again, "film")["embedded_again"] == 1
    assert kitchen.library.stand_ins("film", own) is None
    frames, vectors = kitchen.library.embeddings("film", own)
    assert (frames.tolist(), vectors.shape[0]) == ([n * 25 for n in range(FRAMES)], FRAMES)
    assert kitchen.entry(stage="shard_indices").state == "waiting", "the shard is behind"

    assert kitchen.publish() != first
    shelf = Shelf(kitchen.settings.shelf_dir)
    with shelf.open(shelf.current() or "") as snapshot:
        assert (len(snapshot.vectors), snapshot.others) == (2 * FRAMES, {})


@pytest.mark.torch
def test_the_queue_shows_in_khung_status_and_in_the_schedule(kitchen, monkeypatch, capsys):
    from khung.cli import status
    from orchestration.schedules import embed_again_nightly

    plain = {"ledger": kitchen.ledger}
    assert isinstance(embed_again_nightly(dg.build_schedule_context(resources=plain)), dg.SkipReason)
    assert kitchen.run("make_embeddings", tags=range_tags(["film"])).success
    assert isinstance(embed_again_nightly(dg.build_schedule_context(resources=plain)), dg.RunRequest)
    monkeypatch.setattr(status, "settings", lambda: kitchen.settings)
    monkeypatch.setattr(status.out, "width", 200)
    status.status()
    shown = " ".join(capsys.readouterr().out.split())
    assert "↻ film embed stood_in 1 of 6 frames" in shown


@pytest.mark.torch
def test_without_a_fallback_the_video_fails_with_the_frame_and_the_cure(kitchen):
    settings = kitchen.settings.model_copy(update={"fallback_name": "none"})
    alone = RealKitchen(settings, kitchen.instance)
    assert not alone.run("make_embeddings", tags=range_tags(["film", "other"])).success
    assert (alone.entry().state, alone.entry("other").state) == ("failed", "done")
    assert f"Frame {FALLEN}" in alone.entry().detail and "KHUNG_FALLBACK_NAME" in alone.entry().detail


@pytest.mark.torch
def test_a_fallback_that_was_never_pulled_fails_that_video_alone(kitchen):
    (kitchen.settings.models_path / "siglip2-base").unlink()
    assert not kitchen.run("make_embeddings", tags=range_tags(["film", "other"])).success
    assert (kitchen.entry().state, kitchen.entry("other").state) == ("failed", "done")
    assert "khung models pull siglip2-base" in kitchen.entry().detail


@pytest.mark.torch
def test_a_frame_that_fits_only_with_fewer_tokens_is_recorded(kitchen, tiny):
    """Memory that holds no frame at its full size; the others of the video stay as they are."""
    import torch

    from assets.vectors import embed_frames
    from khung.vision.batches import BatchLimits
    from khung.vision.gme import GmeTower
    from khung.vision.towers import TowerEmbedder
    from tests.support.tiny_models import checkpoint, picture

    class Cramped(GmeTower):
        def forward(self, batch):
            if max(item.tokens for item in batch) > limit:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return super().forward(batch)

    kitchen.picture("film", FALLEN, picture(FALLEN))
    kitchen.picture("film", 0, picture(0, 400, 400))
    tower = Cramped(checkpoint(tiny("gme")), most_tokens=256)
    sizes = [tower.image(image).tokens for image in (picture(0, 400, 400), picture(1))]
    limit = max(sizes) - 1
    assert sizes[0] > sizes[1]
    outcome = embed_frames("film", kitchen.library, TowerEmbedder(tower, BatchLimits()), None)
    assert outcome.metadata["frames_with_fewer_tokens"] == 1
    assert outcome.metadata["batches_halved"] >= 1
    assert outcome.reason == ""


@pytest.mark.torch
@pytest.mark.parametrize("kept_every_s", [0.0, 60.0], ids=["killed without a word", "told of it"])
def test_a_run_that_broke_off_is_gone_on_with(kitchen, tiny, monkeypatch, kept_every_s):
    """The device is lost at the fourth frame: the vectors of those before are there already, and are not made again."""
    import torch

    from assets import vectors
    from assets.vectors import embed_frames
    from khung.errors import DeviceLost
    from khung.stores.library import EMBEDDINGS_BEGUN
    from khung.vision.batches import BatchLimits
    from khung.vision.gme import GmeTower
    from khung.vision.towers import TowerEmbedder
    from tests.support.tiny_models import checkpoint, picture

    class Mortal(GmeTower):
        left = FRAMES

        def forward(self, batch):
            if self.left == 0:
                raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered", 700)
            self.left -= len(batch)
            return super().forward(batch)

    monkeypatch.setattr(vectors, "KEPT_EVERY_S", kept_every_s)
    kitchen.picture("film", FALLEN, picture(FALLEN))
    tower = Mortal(checkpoint(tiny("gme")), most_tokens=256)
    embedder = TowerEmbedder(tower, BatchLimits(items=1))
    tower.left = 3
    if kept_every_s == 0:  # nothing is done at the end
        monkeypatch.setattr(vectors, "kept_if_broken_off", lambda keep: nullcontext())
    with pytest.raises(DeviceLost):
        embed_frames("film", kitchen.library, embedder, None)
    keyframes = kitchen.library.keyframes("film")
    frames = [frame.frame_index for frame in keyframes]
    name = f"{embedder.fingerprint} {digest(keyframes)}"
    indices, begun = kitchen.library.embeddings("film", name, EMBEDDINGS_BEGUN)
    assert indices.tolist() == frames[:3]

    tower.left = FRAMES
    outcome = embed_frames("film", kitchen.library, embedder, None)
    assert tower.left == 3, "three of six are made again"
    assert (outcome.reason, outcome.metadata["kept_from_before"]) == ("", 3)
    indices, whole = kitchen.library.embeddings("film", embedder.fingerprint)
    assert indices.tolist() == frames
    assert np.array_equal(whole[:3], begun)
    with pytest.raises(NotFound):
        kitchen.library.embeddings("film", name, EMBEDDINGS_BEGUN)


@pytest.mark.torch
def test_a_picture_that_cannot_be_read_names_its_frame(kitchen):
    kitchen.library.put_image("other", 25, "master.jpg", b"no picture")
    assert not kitchen.run("make_embeddings", tags=range_tags(["film", "other"])).success
    assert (kitchen.entry("other").state, kitchen.entry("other").reason) == ("failed", "CorruptError")
    assert "00000025/master.jpg" in kitchen.entry("other").detail
    assert kitchen.entry("film").state == "done"


@pytest.mark.torch
def test_a_preview_leaves_such_a_frame_out(kitchen):
    from assets.preview import embed_preview
    from khung.errors import ModelError
    from khung.vision.load import load_embedder

    embedder = load_embedder(kitchen.settings)
    for n in range(1, FRAMES):
        kitchen.picture("film", n * 25, np.zeros((1, 1000, 3), np.uint8))
    with pytest.raises(ModelError):
        kitchen.picture("film", 0, np.zeros((1, 1000, 3), np.uint8))
        embed_preview("film", kitchen.library, embedder)
    assert embed_preview("other", kitchen.library, embedder).metadata["vectors"] == 1
