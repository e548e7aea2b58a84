"""GME on a tiny random model: the same numbers as the forward written out by hand, whatever the batch around an input."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from khung.errors import ConfigError, ItemTooLarge, ModelError, ModelFileMissing
from khung.vision import gme
from khung.vision.batches import BatchLimits
from khung.vision.towers import TowerEmbedder
from tests.support.tiny_models import checkpoint, picture

pytestmark = pytest.mark.torch

TEXTS = ["một người", "a man in a red shirt", "xe máy trên đường phố Hà Nội buổi sáng, trời mưa rất to", "chợ"]


@pytest.fixture(scope="module")
def tower(tiny) -> gme.GmeTower:
    return gme.GmeTower(checkpoint(tiny("gme")), most_tokens=64)


@pytest.fixture(scope="module")
def embedder(tower) -> TowerEmbedder:
    return TowerEmbedder(tower)


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    return [picture(seed, 60 + 40 * seed, 90) for seed in range(6)]


def test_the_prompt_is_the_authors_byte_for_byte():
    golden = Path(__file__).with_name("gme_prompts.txt").read_bytes().decode()
    ours = [
        gme.prompt("một người", gme.QUERY),
        gme.prompt(gme.VISION, gme.DOCUMENT),
        gme.prompt(gme.VISION + "but at night", gme.QUERY),
    ]
    assert "\n=====\n".join(ours) == golden


@pytest.fixture(scope="module")
def reference(tiny):
    from tests.support.reference_qwen2vl import Reference

    return Reference(tiny("gme"))


@pytest.fixture(scope="module")
def tokenize(tiny):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny("gme"))
    return lambda text: tokenizer(text).input_ids


class TestParity:
    """Against tests/support/reference_qwen2vl.py, which knows neither transformers nor batches."""

    def test_texts(self, embedder, reference, tokenize):
        expected = [reference.vector(tokenize(gme.prompt(text, gme.QUERY))) for text in TEXTS]
        assert np.abs(embedder.embed_texts(TEXTS) - expected).max() <= 1e-5

    @pytest.mark.parametrize("words", ["", "nhưng vào ban đêm"])
    def test_images_with_and_without_words(self, embedder, reference, tokenize, words):
        from tests.support.reference_qwen2vl import patches_of

        image = picture(3, 28 * 8, 28 * 8)  # already whole patches and 64 tokens: no resizing in between
        patches, grid = patches_of(image)
        instruction = gme.QUERY if words else gme.DOCUMENT
        pads = "<|vision_start|>" + "<|image_pad|>" * 64 + "<|vision_end|>"
        expected = reference.vector(tokenize(gme.prompt(pads + words, instruction)), patches, grid)
        found = embedder.embed_pairs([(image, words)]) if words else embedder.embed_images([image])
        assert np.abs(found[0] - expected).max() <= 1e-5

    def test_multimodal_positions_would_be_another_space(self, tower, embedder, images):
        """The trap: Qwen2-VL's own M-RoPE gives vectors that are close but not the same."""
        import torch

        item = tower.image(images[0])
        with torch.inference_mode():
            states = tower._model(**tower._inputs.batch([item], "cpu"), use_cache=False).last_hidden_state
        theirs = torch.nn.functional.normalize(states[0, -1], dim=0).numpy()
        assert embedder.embed_images(images[:1])[0] @ theirs < 0.9999


class TestBatches:
    def test_alone_is_as_in_a_padded_batch(self, embedder, images):
        together = embedder.embed_images(images)
        alone = np.concatenate([embedder.embed_images([image]) for image in images])
        assert np.abs(together - alone).max() < 1e-6
        assert len(np.unique(together.round(3), axis=0)) == len(images)  # and they are not all alike

    def test_texts_of_different_lengths(self, embedder):
        together = embedder.embed_texts(TEXTS)
        alone = np.concatenate([embedder.embed_texts([text]) for text in TEXTS])
        assert np.abs(together - alone).max() < 1e-6

    def test_the_order_of_the_batch_does_not_matter(self, embedder, images):
        order = [3, 0, 5, 1, 4, 2]
        there = embedder.embed_images(images)
        assert np.abs(embedder.embed_images([images[i] for i in order]) - there[order]).max() < 1e-6

    def test_padded_left_or_right(self, tiny, tower, images):
        items = [tower.text(text) for text in TEXTS] + [tower.image(image) for image in images]
        left = gme.GmeTower(checkpoint(tiny("gme")), most_tokens=64, side="left")
        assert np.abs(left.forward(items) - tower.forward(items)).max() < 1e-6

    def test_many_small_batches_are_one_large(self, tower, images):
        small = TowerEmbedder(tower, BatchLimits(start=1, most=1))
        assert np.abs(small.embed_images(images) - TowerEmbedder(tower).embed_images(images)).max() < 1e-6

    def test_nothing_gives_nothing(self, embedder):
        assert embedder.embed_images([]).shape == (0, 128)

    def test_unit_length_and_type(self, embedder, images):
        vectors = embedder.embed_images(images)
        assert vectors.dtype == np.float32
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


class TestTokens:
    def test_the_cap_bounds_every_image(self, tiny):
        tower = gme.GmeTower(checkpoint(tiny("gme")), most_tokens=100)
        for width, height in ((1280, 720), (320, 180), (64, 640)):
            item = tower.image(picture(1, width, height))
            assert 0 < int((item.ids == tower._inputs.image_id).sum()) <= 100

    def test_1280_by_720_is_1196_tokens_as_published(self, tiny):
        tower = gme.GmeTower(checkpoint(tiny("gme")), most_tokens=1280)
        assert int((tower.image(picture(1, 1280, 720)).ids == tower._inputs.image_id).sum()) == 1196

    def test_a_small_image_is_enlarged_to_the_authors_least(self, tiny):
        tower = gme.GmeTower(checkpoint(tiny("gme")), most_tokens=1280)
        assert int((tower.image(picture(1, 96, 96)).ids == tower._inputs.image_id).sum()) >= 256

    def test_too_long_a_text_is_refused_not_cut(self, embedder):
        with pytest.raises(ItemTooLarge, match="1800"):
            embedder.embed_texts(["xe " * 3000])

    def test_the_models_own_marks_in_a_text_are_refused(self, embedder):
        with pytest.raises(ModelError, match="own marks"):
            embedder.embed_texts(["a <|image_pad|> in words"])

    def test_an_image_shrinks_by_half_until_there_is_nothing_to_give(self, tiny):
        tower = gme.GmeTower(checkpoint(tiny("gme")), most_tokens=256)
        whole = tower.image(picture(1, 640, 360))
        half = tower.shrink(whole)
        assert whole.tokens // 3 < half.tokens < whole.tokens
        assert tower.shrink(tower.text("một người")) is None
        smallest = half
        while smaller := tower.shrink(smallest):
            assert smaller.tokens < smallest.tokens
            smallest = smaller
        assert np.isfinite(tower.forward([smallest])).all()


class TestLoading:
    def test_legacy_flat_keys_load_equal(self, tiny, tmp_path, embedder, images):
        """The hub's GME has `visual.…` and `model.…` beside each other, and no head."""
        folder = with_keys(
            tiny("gme"),
            tmp_path / "flat",
            lambda key: key if key.startswith("visual.") else key.replace("language_model.", "model."),
        )
        other = TowerEmbedder(gme.GmeTower(checkpoint(folder), most_tokens=64))
        assert np.array_equal(other.embed_images(images), embedder.embed_images(images))

    def test_a_head_that_comes_along_is_ignored(self, tiny):
        assert gme.GmeTower(checkpoint(tiny("qwen2vl_with_head"))).dim == 128

    def test_a_missing_weight_is_an_error(self, tiny, tmp_path):
        folder = with_keys(
            tiny("gme"), tmp_path / "less", lambda key: None if key.endswith("layers.1.mlp.up_proj.weight") else key
        )
        with pytest.raises(ModelError, match=r"1 weights missing .*up_proj"):
            gme.GmeTower(checkpoint(folder))

    def test_a_weight_left_over_is_an_error(self, tiny, tmp_path):
        folder = with_keys(tiny("gme"), tmp_path / "more", lambda key: key, more={"projector.weight": (4, 4)})
        with pytest.raises(ModelError, match=r"1 weights left over .*projector"):
            gme.GmeTower(checkpoint(folder))

    def test_a_weight_of_another_shape_is_an_error(self, tiny, tmp_path):
        folder = with_keys(tiny("gme"), tmp_path / "other", lambda key: key, more={"language_model.norm.weight": (64,)})
        with pytest.raises(ModelError, match="another shape"):
            gme.GmeTower(checkpoint(folder))

    def test_an_empty_folder_names_the_cure(self, tmp_path):
        with pytest.raises(ModelFileMissing, match="khung models pull gme-2b"):
            gme.GmeTower(checkpoint(tmp_path, "gme-2b"))

    def test_the_fingerprint_names_what_the_vectors_depend_on(self, tiny, tower):
        name, revision, *rest = tower.fingerprint.replace("@", "/").split("/")
        assert (name, rest) == ("tiny", ["float32", "tokens-64", "sequential", "1"])
        assert revision.startswith("local-")
        halved = gme.GmeTower(checkpoint(tiny("gme"), dtype="bfloat16"), most_tokens=64)
        assert halved.fingerprint != tower.fingerprint

    def test_the_note_of_a_pulled_model_gives_its_revision(self, tiny, tmp_path):
        folder = shutil.copytree(tiny("gme"), tmp_path / "pulled")
        (folder / "khung.json").write_text('{"model": "Alibaba-NLP/x", "revision": "' + "a1" * 20 + '"}')
        assert gme.GmeTower(checkpoint(folder)).fingerprint.startswith("tiny@" + "a1" * 20 + "/")

    def test_another_training_of_the_same_model_has_another_digest(self, tiny, tmp_path):
        folder = with_keys(tiny("gme"), tmp_path / "trained", lambda key: key, scale=1.01)
        assert checkpoint(folder).revision != checkpoint(tiny("gme")).revision

    @pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
    def test_half_precision_is_near(self, tiny, embedder, images, dtype):
        half = TowerEmbedder(gme.GmeTower(checkpoint(tiny("gme"), dtype=dtype), most_tokens=64))
        cosines = (half.embed_images(images) * embedder.embed_images(images)).sum(1)
        assert cosines.min() > 0.99

    def test_an_attention_that_is_not_installed_says_where_to_read(self, tiny):
        with pytest.raises(ConfigError, match=r"docs/how-to/gpu\.md"):
            gme.GmeTower(checkpoint(tiny("gme"), attention="flash_attention_2"))

    def test_eager_attention_is_the_same(self, tiny, embedder, images):
        eager = TowerEmbedder(gme.GmeTower(checkpoint(tiny("gme"), attention="eager"), most_tokens=64))
        assert np.abs(eager.embed_images(images) - embedder.embed_images(images)).max() < 1e-5


def test_patch_embedding_as_a_product_equals_the_convolution(tiny):
    import torch
    from transformers import Qwen2VLModel

    from khung.vision.checkpoint import matmul_patches

    model = Qwen2VLModel.from_pretrained(tiny("gme"))
    patches = torch.randn(40, 3 * 2 * 14 * 14)
    convolved = model.visual.patch_embed(patches)
    assert matmul_patches(model) == 1
    assert (model.visual.patch_embed(patches) - convolved).abs().max() < 3e-6 * convolved.abs().max()


def with_keys(source: Path, target: Path, rename, more: dict | None = None, scale: float = 1.0) -> Path:
    """A copy of a model folder with its tensors renamed (None: left out), some added or replaced."""
    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(source, target)
    tensors = load_file(source / "model.safetensors")
    renamed = {new: tensor * scale for key, tensor in tensors.items() if (new := rename(key))}
    renamed |= {name: torch.ones(shape) for name, shape in (more or {}).items()}
    save_file(renamed, target / "model.safetensors", metadata={"format": "pt"})
    return target
