"""What every Describer keeps to: both languages, closed vocabularies, boxes inside the frame."""

from collections.abc import Iterator

import numpy as np
import pytest

from khung.settings import DescriberSettings, Settings
from khung.vision import Describer
from khung.vision.load import load_describer
from khung.vision.vlm_schema import vocabularies
from tests.support.moody_server import MoodyServer, colour

RNG = np.random.default_rng(11)
IMAGES = [
    np.zeros((90, 160, 3), np.uint8),
    RNG.integers(0, 256, (720, 1280, 3), dtype=np.uint8),
    np.full((33, 500, 3), (200, 30, 30), np.uint8),
    RNG.integers(0, 256, (1, 1, 3), dtype=np.uint8),
    RNG.integers(0, 256, (400, 3, 3), dtype=np.uint8)[:, ::-1],
]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("composed", marks=pytest.mark.models),
        pytest.param("qwen3-vl-4b", marks=pytest.mark.torch),
        pytest.param("server"),
    ],
)
def describer(request, models_dir) -> Iterator[Describer]:
    """The composed one; a tiny Qwen3-VL of random weights, loaded the way the real one is; one that a server runs."""
    if request.param == "composed":
        yield load_describer(Settings(_env_file=None, models_dir=models_dir))
    elif request.param == "qwen3-vl-4b":
        folder = request.getfixturevalue("tiny")("qwen3vl")
        held = {"folder": folder, "device": "cpu", "dtype": "float32", "image_tokens": 64, "answer_tokens": 64}
        yield load_describer(_with(name=request.param, **held))
    else:
        with MoodyServer([colour]) as server:
            yield load_describer(_with(name="server", servers=(server.url,), served_as="tiny", revision="abc"))


def _with(**held) -> Settings:
    return Settings(_env_file=None, profile="gpu", describer=DescriberSettings(**held))


def test_one_description_an_image_in_both_languages(describer):
    descriptions = describer.describe(IMAGES)
    assert len(descriptions) == len(IMAGES)
    for found in descriptions:
        assert set(found.captions) == {"vi", "en"}
        assert all(caption.strip() == caption and caption for caption in found.captions.values())
        assert found.origin in {"composed", "generated"}
        assert found.confidence is None or 0 <= found.confidence <= 1


def test_the_fields_keep_to_their_vocabularies(describer):
    """The composed describer's words are among those of the language models: facets agree between profiles."""
    words = {name: set(table) for name, table in vocabularies().items()}
    for found in describer.describe(IMAGES):
        assert found.scene_type in words["scene"] | {"unknown"}
        assert found.time_of_day in words["time"] | {"unknown"}
        assert found.weather in words["weather"] | {"unknown"}
        assert found.place in words["place"] | {"unknown"}
        assert set(found.emotions) <= words["emotion"]
        assert set(found.actions) <= words["action"]
        assert set(found.colors) <= words["colour"]
        assert {region.label for region in found.objects} <= words["object"]
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
