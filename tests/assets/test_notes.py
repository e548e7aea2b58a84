"""A describer that fails on some frames, on all, or is gone: what becomes of the video. A real server that misbehaves."""

import base64
import io

import dagster as dg
import numpy as np
import pytest
from kitchen import Kitchen, swept

from assets.notes import PART_DESCRIBED, describe_frames
from khung.errors import ModelError, ModelUnavailable
from khung.settings import DescriberSettings, Settings
from khung.vision.load import load_describer, load_reader
from orchestration.build import build_defs
from orchestration.ranges import range_tags
from tests.support.moody_server import MoodyServer, colour, sends

FRAMES = 6


@pytest.fixture(scope="module")
def instance():
    with dg.instance_for_test() as instance:
        yield instance


@pytest.fixture
def kitchen(tmp_path, monkeypatch, instance):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    kitchen = Kitchen(Settings(home=tmp_path, _env_file=None), swept(instance))
    kitchen.stock("film", "other", upto="embeddings", frames=FRAMES)
    for video_id in ("film", "other"):
        for n in range(FRAMES):
            kitchen.library.put_image(video_id, n * 25, "master.jpg", jpeg(40 * n))
    return kitchen


def jpeg(value: int) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(np.full((64, 96, 3), value, np.uint8)).save(out, "JPEG", quality=95)
    return out.getvalue()


def dislikes(value: int):
    """Nonsense for the picture of that grey, an answer for every other."""

    def mood(handler, body):
        from PIL import Image

        url = body["messages"][1]["content"][0]["image_url"]["url"]
        mean = np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1])))).mean()
        (sends(b'{"choices": []}') if abs(mean - value) < 5 else colour)(handler, body)

    return mood


def described_by(url: str) -> Settings:
    held = DescriberSettings(name="server", servers=(url,), served_as="tiny", revision="abc", _env_file=None)
    return Settings(_env_file=None, profile="gpu", describer=held, reader_name="describer")


def test_the_frame_at_fault_stays_without_and_is_named(kitchen):
    with MoodyServer([dislikes(80)]) as server:
        settings = described_by(server.url)
        describer, reader = load_describer(settings), load_reader(settings)
        outcome = describe_frames("film", kitchen.library, describer, reader)
    notes = kitchen.library.notes("film", f"{describer.fingerprint}+{reader.fingerprint}")
    assert [note.frame_index for note in notes] == [0, 25, 50, 75, 100, 125]
    assert [bool(note.description.captions) for note in notes] == [True, True, False, True, True, True]
    assert [len(note.screen_text) for note in notes] == [1, 1, 0, 1, 1, 1]
    assert outcome.reason == PART_DESCRIBED
    assert f"1 of {FRAMES} frames" in outcome.detail and "first 50: " in outcome.detail
    assert outcome.metadata["without_notes"].startswith("50: ")
    assert (outcome.metadata["batches_halved"], outcome.metadata["frames_with_fewer_tokens"]) == (0, 0)


def test_nothing_but_failures_is_the_videos_failure(kitchen):
    with MoodyServer([sends(b'{"choices": []}')]) as server:
        settings = described_by(server.url)
        for n in range(FRAMES, 12):
            kitchen.library.put_image("film", n * 25, "master.jpg", jpeg(0))
        kitchen.stock("film", upto="embeddings", frames=12)
        with pytest.raises(ModelError, match="not a chat completion"):
            describe_frames("film", kitchen.library, load_describer(settings), load_reader(settings))


def test_servers_that_are_gone_stop_the_run_and_the_videos_wait(kitchen, monkeypatch):
    from khung.vision import endpoints

    quick = endpoints.EndpointPolicy(deadline_s=3, attempts=2, backoff_s=0.01, most_backoff_s=0.01, open_s=0.1)
    monkeypatch.setattr("khung.vision.openai_describer.EndpointPolicy", lambda: quick)
    settings = described_by("http://127.0.0.1:9/v1")
    models = {"describer": load_describer(settings), "reader": load_reader(settings)}
    with pytest.raises(ModelUnavailable):
        describe_frames("film", kitchen.library, **models)
    defs = build_defs(kitchen.settings, {"ledger": kitchen.ledger, "library": kitchen.library, **models})
    kitchen.__dict__["defs"] = defs
    assert not kitchen.run("make_descriptions", tags=range_tags(["film", "other"])).success
    entries = [kitchen.ledger.get(video_id)["descriptions"] for video_id in ("film", "other")]
    assert {entry.state for entry in entries} == {"waiting"}
    assert "No model server answered" in entries[0].detail
