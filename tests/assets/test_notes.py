"""A describer that fails on some frames, on all, or is gone: what becomes of the video, and what the next run asks for. A real server that misbehaves."""

import base64
import io
from dataclasses import replace

import dagster as dg
import numpy as np
import pytest
from kitchen import Kitchen, swept

from assets.notes import PART_DESCRIBED, _whole, describe_frames
from assets.versions import digest
from khung.errors import ModelError, ModelUnavailable
from khung.records import Description
from khung.settings import DescriberSettings, Settings
from khung.stores.library import FrameNotes
from khung.vision.load import load_describer, load_reader
from orchestration.build import build_defs
from orchestration.ranges import range_tags
from tests.support.moody_server import MoodyServer, colour, reset, sends

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


def test_a_copy_borrows_descriptions_and_reads_its_own_text(kitchen, monkeypatch):
    """A subtitle makes no other frame to whoever finds copies."""
    theirs = FrameNotes(50, Description({"vi": "mượn", "en": "borrowed"}), ())
    monkeypatch.setattr("assets.notes.borrowed", lambda *_: {index: theirs for index in (0, 25, 75)})
    with MoodyServer([colour]) as server:
        settings = described_by(server.url)
        describer, reader = load_describer(settings), load_reader(settings)
        outcome = describe_frames("film", kitchen.library, describer, reader)
    notes = kitchen.library.notes("film", f"{describer.fingerprint}+{reader.fingerprint}")
    assert [note.frame_index for note in notes if note.description.captions["vi"] == "mượn"] == [0, 25, 75]
    assert [len(note.screen_text) for note in notes] == [1] * FRAMES
    assert outcome.metadata["borrowed"] == 3


def greys(server: MoodyServer) -> list[int]:
    """Which of the pictures the server was asked for, by their numbers."""
    return sorted(round(shown(body) / 40) for body in server.requests)


def shown(body: dict) -> float:
    from PIL import Image

    url = body["messages"][1]["content"][0]["image_url"]["url"]
    return float(np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1])))).mean())


def test_the_next_run_asks_for_the_frame_at_fault_alone(kitchen):
    from orchestration.schedules import describe_again_nightly

    with MoodyServer([dislikes(80)]) as server:
        settings = described_by(server.url)
        models = {"describer": load_describer(settings), "reader": load_reader(settings)}
        defs = build_defs(kitchen.settings, {"ledger": kitchen.ledger, "library": kitchen.library, **models})
        kitchen.__dict__["defs"] = defs
        assert kitchen.run("make_descriptions", tags=range_tags(["film", "other"])).success
        entry = kitchen.ledger.get("film")["descriptions"]
        assert (entry.state, entry.reason) == ("done", PART_DESCRIBED)
        assert "describe_again_job" in entry.detail

        # a copy borrows what is there, and not that there is nothing
        fingerprint = f"{models['describer'].fingerprint}+{models['reader'].fingerprint}"
        assert sorted(_whole("film", kitchen.library, fingerprint)) == [0, 25, 75, 100, 125]

        # nothing was mended: the frame goes on waiting, the others are as they were
        server.requests.clear()
        assert kitchen.run("describe_again_job", config=only("film")).success
        assert set(greys(server)) == {2}
        assert kitchen.ledger.get("film")["descriptions"] == replace(
            entry, updated_at=kitchen.ledger.get("film")["descriptions"].updated_at
        )

        server.moods = [colour]
        server.requests.clear()
        plain = {"ledger": kitchen.ledger}
        assert isinstance(describe_again_nightly(dg.build_schedule_context(resources=plain)), dg.RunRequest)
        again = kitchen.run("describe_again_job")
        assert again.success
        assert greys(server) == [2], "both videos show the same pictures, and equal ones are asked for once"
    assert isinstance(describe_again_nightly(dg.build_schedule_context(resources=plain)), dg.SkipReason)
    for video_id in ("film", "other"):
        entry = kitchen.ledger.get(video_id)["descriptions"]
        assert (entry.state, entry.reason, entry.detail) == ("done", "", "")
        notes = kitchen.library.notes(video_id, fingerprint)
        assert [note.description.captions["en"] for note in notes] == [str(4 * n) for n in range(FRAMES)]
        assert kitchen.library.begun(video_id, fingerprint, digest(kitchen.library.keyframes(video_id))) is None


def only(video_id: str) -> dict:
    return {"ops": {"describe_frames_again": {"config": {"videos": [video_id]}}}}


def test_a_run_that_broke_off_is_gone_on_with(kitchen, monkeypatch):
    """The servers go after two parts: their notes are there already, even for a run that is killed, and are not made again."""
    from khung.vision import endpoints

    quick = endpoints.EndpointPolicy(deadline_s=3, attempts=1, open_s=0.1)
    monkeypatch.setattr("khung.vision.openai_describer.EndpointPolicy", lambda: quick)
    monkeypatch.setattr("assets.frames.IMAGES_AT_ONCE", 2)
    monkeypatch.setattr("assets.notes.KEPT_EVERY_S", 0.0)
    kept = []

    def goes_away(handler, body):
        at = round(shown(body) / 40)
        kept.append((at, len(kitchen.library.begun("film", fingerprint, frames) or ())))
        (colour if at < 4 else reset)(handler, body)

    frames = digest(kitchen.library.keyframes("film"))
    with MoodyServer([goes_away]) as server:
        settings = described_by(server.url)
        models = load_describer(settings), load_reader(settings)
        fingerprint = f"{models[0].fingerprint}+{models[1].fingerprint}"
        with pytest.raises(ModelUnavailable):
            describe_frames("film", kitchen.library, *models)
    assert {at: number for at, number in kept} == {0: 0, 1: 0, 2: 2, 3: 2, 4: 4, 5: 4}
    with MoodyServer([colour]) as server:
        settings = described_by(server.url)
        outcome = describe_frames("film", kitchen.library, load_describer(settings), load_reader(settings))
        assert greys(server) == [4, 5]
    assert (outcome.reason, outcome.metadata["kept_from_before"]) == ("", 4)
    notes = kitchen.library.notes("film", fingerprint)
    assert [note.description.captions["en"] for note in notes] == [str(4 * n) for n in range(FRAMES)]


def test_what_was_begun_over_other_keyframes_is_not_used(kitchen):
    note = FrameNotes(0, Description())
    frames = digest(kitchen.library.keyframes("film"))
    kitchen.library.put_begun("film", "model", frames, [note])
    assert kitchen.library.begun("film", "model", frames) == [note]
    assert kitchen.library.begun("film", "model", "others") is None
    assert kitchen.library.begun("film", "another", frames) is None
    kitchen.library.put_begun("film", "model", frames, [])
    assert kitchen.library.begun("film", "model", frames) == []


def test_frames_that_always_fail_do_not_fail_a_video_that_is_described_but_for_them(kitchen):
    """More of them than the patience of a first run."""
    for n in range(FRAMES, 24):
        kitchen.library.put_image("film", n * 25, "master.jpg", jpeg(80))
    kitchen.stock("film", upto="embeddings", frames=24)
    for attempt in range(2):
        with MoodyServer([dislikes(80)]) as server:
            settings = described_by(server.url)
            outcome = describe_frames("film", kitchen.library, load_describer(settings), load_reader(settings))
        assert outcome.reason == PART_DESCRIBED and "19 of 24 frames" in outcome.detail
        assert outcome.metadata["kept_from_before"] == 5 * attempt
