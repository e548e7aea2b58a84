"""Qwen3-VL-Embedding on a tiny random model: positions of its own, the last token, dimensions that may be cut."""

import numpy as np
import pytest

from khung.errors import ConfigError, ItemTooLarge
from khung.vision import qwen3_vl
from khung.vision.towers import TowerEmbedder
from tests.support.tiny_models import checkpoint, picture

pytestmark = pytest.mark.torch
TEXTS = ["một người", "a man in a red shirt on a street", "chợ nổi buổi sáng sớm, nhiều thuyền và hoa quả"]


@pytest.fixture(scope="module")
def tower(tiny) -> qwen3_vl.Qwen3Tower:
    return qwen3_vl.Qwen3Tower(checkpoint(tiny("qwen3vl")), most_tokens=64)


@pytest.fixture(scope="module")
def embedder(tower) -> TowerEmbedder:
    return TowerEmbedder(tower)


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    return [picture(seed, 64 + 32 * seed, 96) for seed in range(5)]


@pytest.fixture(scope="module")
def whole_model(tiny):
    from transformers import Qwen3VLForConditionalGeneration

    return Qwen3VLForConditionalGeneration.from_pretrained(tiny("qwen3vl")).eval()


def test_equals_the_generating_model_on_one_masked_input(tiny, whole_model, embedder, images):
    """The class that the hub documents, one input at a time, left to find its own positions."""
    import torch
    from transformers import AutoImageProcessor, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny("qwen3vl"))
    processor = AutoImageProcessor.from_pretrained(tiny("qwen3vl"), backend="pil")
    for image, found in zip(images, embedder.embed_images(images), strict=True):
        patches = processor(
            images=[image], size={"shortest_edge": 4 * 1024, "longest_edge": 64 * 1024}, return_tensors="pt"
        )
        count = int(patches["image_grid_thw"].prod()) // 4
        text = (
            "<|im_start|>system\nRepresent the user's input.<|im_end|>\n<|im_start|>user\n<|vision_start|>"
            + "<|image_pad|>" * count
            + "<|vision_end|><|im_end|>\n<|im_start|>assistant\n"
        )
        ids = tokenizer(text, return_tensors="pt")
        marks = (ids["input_ids"] == tokenizer.convert_tokens_to_ids("<|image_pad|>")).int()
        with torch.no_grad():
            state = whole_model.model(**ids, **patches, mm_token_type_ids=marks).last_hidden_state[0, -1]
        assert np.abs((state / state.norm()).numpy() - found).max() <= 1e-5


def test_the_query_prompt():
    assert qwen3_vl.prompt("xe đạp", qwen3_vl.QUERY) == (
        "<|im_start|>system\nRetrieve images or text relevant to the user's query.<|im_end|>\n"
        "<|im_start|>user\nxe đạp<|im_end|>\n<|im_start|>assistant\n"
    )


def test_alone_is_as_in_a_padded_batch(embedder, tower, images):
    alone = [embedder.embed_images([image])[0] for image in images] + [embedder.embed_texts([t])[0] for t in TEXTS]
    mixed = tower.forward([tower.image(image) for image in images] + [tower.text(text) for text in TEXTS])
    assert np.abs(mixed - alone).max() < 1e-6
    assert len(np.unique(mixed.round(3), axis=0)) == len(alone)


def test_fused_is_neither_the_image_nor_the_words(embedder, images):
    fused = embedder.embed_pairs([(images[0], "ban đêm"), (images[0], "ban ngày")])
    assert fused[0] @ fused[1] < 0.9999
    assert fused[0] @ embedder.embed_images(images[:1])[0] < 0.9999


def test_cut_dimensions_are_the_first_ones_at_unit_length(tiny, embedder, images):
    cut = TowerEmbedder(qwen3_vl.Qwen3Tower(checkpoint(tiny("qwen3vl")), most_tokens=64, dim=64))
    whole = embedder.embed_images(images)[:, :64]
    assert np.abs(cut.embed_images(images) - whole / np.linalg.norm(whole, axis=1, keepdims=True)).max() < 1e-6
    assert cut.fingerprint != embedder.fingerprint and cut.dim == 64


@pytest.mark.parametrize("dim", [32, 4096])
def test_dimensions_that_cannot_be_cut(tiny, dim):
    with pytest.raises(ConfigError, match=str(dim)):
        qwen3_vl.Qwen3Tower(checkpoint(tiny("qwen3vl")), dim=dim)


def test_too_long_is_refused(embedder):
    with pytest.raises(ItemTooLarge, match="2048"):
        embedder.embed_texts(["xe " * 3000])


def test_it_is_not_the_space_of_gme(embedder, tiny):
    from khung.vision.gme import GmeTower

    assert GmeTower(checkpoint(tiny("gme"))).fingerprint.split("/")[2:] != embedder.fingerprint.split("/")[2:]
