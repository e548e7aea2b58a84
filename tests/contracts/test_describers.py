"""What every Describer keeps to: both languages, closed vocabularies, boxes inside the frame."""

import numpy as np
import pytest

from khung.settings import Settings
from khung.vision import Describer
from khung.vision.load import load_vision
from khung.vision.vocabulary import vocabulary

RNG = np.random.default_rng(11)
IMAGES = [
    np.zeros((90, 160, 3), np.uint8),
    RNG.integers(0, 256, (720, 1280, 3), dtype=np.uint8),
    np.full((33, 500, 3), (200, 30, 30), np.uint8),
    RNG.integers(0, 256, (1, 1, 3), dtype=np.uint8),
    RNG.integers(0, 256, (400, 3, 3), dtype=np.uint8)[:, ::-1],
]


@pytest.fixture(scope="module", params=[pytest.param("embedded", marks=pytest.mark.models)])
def describer(request, models_dir) -> Describer:
    return load_vision(Settings(profile=request.param, models_dir=models_dir)).describer


def test_one_description_an_image_in_both_languages(describer):
    descriptions = describer.describe(IMAGES)
    assert len(descriptions) == len(IMAGES)
    for found in descriptions:
        assert set(found.captions) == {"vi", "en"}
        assert all(caption.strip() == caption and caption for caption in found.captions.values())
        assert found.origin in {"composed", "generated"}
        assert found.confidence is None or 0 <= found.confidence <= 1


def test_the_fields_keep_to_their_vocabularies(describer):
    for found in describer.describe(IMAGES):
        assert found.scene_type in vocabulary("scene") | {"unknown"}
        assert found.time_of_day in vocabulary("time") | {"unknown"}
        assert found.weather in vocabulary("weather") | {"unknown"}
        assert found.place in vocabulary("place") | {"unknown"}
        assert set(found.emotions) <= vocabulary("emotion")
        assert set(found.colors) <= vocabulary("colour")
        for region in found.objects:
            left, top, right, bottom = region.box
            assert 0 <= left <= right <= 1
            assert 0 <= top <= bottom <= 1
            assert 0 <= region.score <= 1


def test_order_and_batch_do_not_matter(describer):
    together = describer.describe(IMAGES)
    assert [describer.describe([image])[0] for image in IMAGES] == together
    assert describer.describe(IMAGES[::-1]) == together[::-1]
    assert describer.describe([]) == []
