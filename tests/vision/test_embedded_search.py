"""Do the embedded models find things? Real frames of the repository's clips, asked in Vietnamese and English."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from khung.settings import Settings
from khung.vision.load import Vision, load_vision

pytestmark = pytest.mark.models

CLIPS = ("cockatoo_cc0.mp4", "googlework_short.mp4", "nasa_13013.mp4")


def _frames(path: Path, every_s: float) -> list[np.ndarray]:
    import av

    frames, due = [], 0.0
    with av.open(path) as container:
        for frame in container.decode(video=0):
            if frame.time >= due:
                frames.append(frame.to_ndarray(format="rgb24"))
                due += every_s
    return frames


@pytest.fixture(scope="module")
def vision(models_dir) -> Vision:
    return load_vision(Settings(models_dir=models_dir))


@pytest.fixture(scope="module")
def frames(clips) -> dict[str, list[np.ndarray]]:
    return {name: _frames(clips / name, 2.0) for name in CLIPS}


@pytest.fixture(scope="module")
def vectors(vision, frames) -> dict[str, np.ndarray]:
    return {name: vision.embedder.embed_images(images) for name, images in frames.items()}


def _best(vectors: dict[str, np.ndarray], query: np.ndarray) -> dict[str, float]:
    return {name: float((rows @ query).max()) for name, rows in vectors.items()}


@pytest.mark.parametrize(
    ("texts", "clip"),
    [
        (("con vẹt", "chim vẹt mào trắng", "a parrot", "a cockatoo", "con chim", "a bird"), "cockatoo_cc0.mp4"),
        (
            ("đường phố", "ô tô", "xe buýt trên phố", "people in the street", "a bus", "văn phòng", "laptop on a desk"),
            "googlework_short.mp4",
        ),
    ],
)
def test_a_query_finds_the_clip_that_shows_it(vision, vectors, texts: Sequence[str], clip: str):
    found = [
        max(scores, key=scores.__getitem__)
        for scores in (_best(vectors, q) for q in vision.embedder.embed_texts(texts))
    ]
    assert found.count(clip) >= len(texts) - 1, dict(zip(texts, found, strict=True))


def test_captions_say_what_is_there(vision, frames):
    said = [d.captions for d in vision.describer.describe(frames["googlework_short.mp4"])]
    vietnamese = " ".join(captions["vi"] for captions in said)
    english = " ".join(captions["en"] for captions in said)
    assert "người" in vietnamese
    assert "ô tô" in vietnamese
    assert "đường phố" in vietnamese
    assert "people" in english
    assert "street" in english


def test_the_subject_of_the_cockatoo_clip_is_named(vision, frames):
    said = " ".join(d.captions["vi"] for d in vision.describer.describe(frames["cockatoo_cc0.mp4"]))
    assert "vẹt mào trắng" in said
