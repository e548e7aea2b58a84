"""Four bits: what is quantised and what never is, and that the result still embeds. bitsandbytes computes it on a CPU, too."""

import numpy as np
import pytest

from khung.vision.checkpoint import load
from khung.vision.gme import GmeTower
from khung.vision.quantisation import nf4, quantised
from khung.vision.towers import TowerEmbedder
from tests.support.tiny_models import checkpoint, picture

pytestmark = [
    pytest.mark.torch,
]


@pytest.fixture(scope="module")
def bare(tiny):
    from transformers import Qwen2VLModel

    return load(checkpoint(tiny("gme"), quantisation="nf4"), Qwen2VLModel)


def test_the_language_layers_are_held_in_four_bits(bare):
    names = quantised(bare)
    assert len(names) == 2 * 7  # two layers: q k v o, gate up down
    assert all(name.startswith("language_model.layers.") for name in names)


def test_the_vision_tower_is_whole_in_a_bare_model_and_in_one_with_a_head(bare, tiny):
    from transformers import Qwen2VLForConditionalGeneration

    headed = load(checkpoint(tiny("qwen2vl_with_head"), quantisation="nf4"), Qwen2VLForConditionalGeneration)
    for model, tower in ((bare, bare.visual), (headed, headed.model.visual)):
        assert quantised(model) and not quantised(tower)
    assert "lm_head" not in quantised(headed)


def test_the_configuration_is_what_the_facts_ask_for():
    import torch

    config = nf4(torch.bfloat16)
    assert config.load_in_4bit and config.bnb_4bit_quant_type == "nf4" and config.bnb_4bit_use_double_quant
    assert config.bnb_4bit_compute_dtype == torch.bfloat16
    assert {"lm_head", "model.visual"} <= set(config.llm_int8_skip_modules)


def test_memory_of_the_layers_falls_by_more_than_three_quarters(bare, tiny):
    from transformers import Qwen2VLModel

    whole = load(checkpoint(tiny("gme")), Qwen2VLModel)
    sizes = [
        sum(
            p.numel() * p.element_size()
            for n, p in m.language_model.layers.named_parameters()
            if n.endswith("proj.weight")
        )
        for m in (whole, bare)
    ]
    assert sizes[1] * 4 < sizes[0]


def test_vectors_are_near_and_named_otherwise(tiny):
    images = [picture(seed) for seed in range(3)]
    whole = TowerEmbedder(GmeTower(checkpoint(tiny("gme")), most_tokens=64))
    four = TowerEmbedder(GmeTower(checkpoint(tiny("gme"), quantisation="nf4"), most_tokens=64))
    cosines = (whole.embed_images(images) * four.embed_images(images)).sum(1)
    assert 0.8 < cosines.min() < 0.99999
    assert four.fingerprint != whole.fingerprint and "float32-nf4" in four.fingerprint
    assert np.isfinite(four.embed_texts(["một người"])).all()
