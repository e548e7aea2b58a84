"""SigLIP 2 on a tiny random model: text in lower case, padded and unmasked; images at one resolution."""

import numpy as np
import pytest

from khung.errors import ModelError
from khung.vision.siglip import SiglipTower
from khung.vision.towers import TowerEmbedder
from tests.support.tiny_models import checkpoint, picture

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def tower(tiny) -> SiglipTower:
    return SiglipTower(checkpoint(tiny("siglip2")))


@pytest.fixture(scope="module")
def embedder(tower) -> TowerEmbedder:
    return TowerEmbedder(tower)


@pytest.fixture(scope="module")
def model(tiny):
    from transformers import SiglipModel

    return SiglipModel.from_pretrained(tiny("siglip2")).eval()


def test_images_equal_the_models_own_features(model, embedder):
    import torch
    from PIL import Image

    images = [picture(seed, 90, 70) for seed in range(3)]
    sized = [np.asarray(Image.fromarray(i).resize((64, 64), Image.Resampling.BICUBIC)) for i in images]
    pixels = torch.tensor(np.stack(sized).transpose(0, 3, 1, 2) / 127.5 - 1, dtype=torch.float32)
    with torch.no_grad():
        theirs = model.get_image_features(pixel_values=pixels).pooler_output
    theirs = (theirs / theirs.norm(dim=1, keepdim=True)).numpy()
    assert np.abs(embedder.embed_images(images) - theirs).max() < 1e-5


def test_texts_are_padded_to_64_and_not_masked(model, embedder, tiny):
    import torch
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny("siglip2"))
    ids = tokenizer("một người áo đỏ").input_ids
    padded = torch.tensor([ids + [0] * (64 - len(ids))])
    with torch.no_grad():
        theirs = model.get_text_features(input_ids=padded).pooler_output[0]
    assert np.abs(embedder.embed_texts(["một người áo đỏ"])[0] - (theirs / theirs.norm()).numpy()).max() < 1e-5


def test_capitals_do_not_matter(embedder):
    low, high = embedder.embed_texts(["một người áo đỏ", "MỘT NGƯỜI Áo Đỏ"])
    assert np.array_equal(low, high)


def test_a_long_question_is_cut_not_refused(embedder):
    assert embedder.embed_texts(["chợ " * 200]).shape == (1, 64)


def test_alone_is_as_in_a_mixed_batch(embedder, tower):
    images, texts = [picture(seed) for seed in range(4)], ["một người", "chợ", "a street in the rain"]
    mixed = tower.forward([tower.text(texts[0]), *map(tower.image, images), *map(tower.text, texts[1:])])
    assert np.abs(mixed[[1, 2, 3, 4]] - embedder.embed_images(images)).max() < 1e-6
    assert np.abs(mixed[[0, 5, 6]] - embedder.embed_texts(texts)).max() < 1e-6


def test_a_grey_or_tiny_picture_is_fine(embedder):
    assert np.isfinite(embedder.embed_images([np.zeros((1, 1, 3), np.uint8), np.full((3, 200, 3), 7, np.uint8)])).all()


def test_there_is_no_fused_vector(embedder):
    with pytest.raises(ModelError, match="no vector of an image and words"):
        embedder.embed_pairs([(picture(1), "ban đêm")])
