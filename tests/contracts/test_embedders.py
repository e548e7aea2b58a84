"""What every Embedder keeps to, whatever its model."""

import numpy as np
import pytest

from khung.errors import KhungError
from khung.settings import EmbedderSettings, Settings
from khung.vision import Embedder
from khung.vision.load import load_embedder

RNG = np.random.default_rng(7)
IMAGES = [
    np.zeros((90, 160, 3), np.uint8),  # black
    np.full((120, 90, 3), 255, np.uint8),  # white, upright
    RNG.integers(0, 256, (72, 128, 3), dtype=np.uint8),
    np.dstack([np.tile(np.arange(160, dtype=np.uint8), (90, 1))] * 3),
    RNG.integers(0, 256, (1, 1, 3), dtype=np.uint8),
    RNG.integers(0, 256, (400, 3, 3), dtype=np.uint8)[:, ::-1],  # a sliver, and not contiguous
]
TEXTS = ["người đi bộ trên phố", "a bird on a branch", "", "a", "ô tô " * 40, "日本 😀 \n\t x"]


MADE = {"gme-2b": "gme", "qwen3-vl-embedding-2b": "qwen3vl", "siglip2-base": "siglip2"}
"""Large models stand here as tiny ones of random weights, loaded the way the real ones are."""


@pytest.fixture(
    scope="module",
    params=[pytest.param("conse", marks=pytest.mark.models), *(pytest.param(n, marks=pytest.mark.torch) for n in MADE)],
)
def embedder(request, models_dir) -> Embedder:
    if request.param == "conse":
        return load_embedder(Settings(_env_file=None, models_dir=models_dir))
    folder = request.getfixturevalue("tiny")(MADE[request.param])
    held = EmbedderSettings(name=request.param, folder=folder, device="cpu", dtype="float32", image_tokens=64)
    return load_embedder(Settings(_env_file=None, profile="gpu", embedder=held))


def test_vectors_are_float32_of_unit_length(embedder):
    for vectors, count in ((embedder.embed_images(IMAGES), len(IMAGES)), (embedder.embed_texts(TEXTS), len(TEXTS))):
        assert vectors.shape == (count, embedder.dim)
        assert vectors.dtype == np.float32
        assert np.isfinite(vectors).all()
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)


def test_nothing_in_nothing_out(embedder):
    assert embedder.embed_images([]).shape == (0, embedder.dim)
    assert embedder.embed_texts([]).shape == (0, embedder.dim)


def test_an_image_alone_is_as_in_a_batch(embedder):
    together = embedder.embed_images(IMAGES)
    alone = np.concatenate([embedder.embed_images([image]) for image in IMAGES])
    np.testing.assert_allclose(alone, together, atol=1e-4)


def test_a_text_alone_is_as_in_a_batch(embedder):
    together = embedder.embed_texts(TEXTS)
    alone = np.concatenate([embedder.embed_texts([text]) for text in TEXTS])
    np.testing.assert_allclose(alone, together, atol=1e-4)


def test_the_order_is_kept(embedder):
    forward, backward = embedder.embed_images(IMAGES), embedder.embed_images(IMAGES[::-1])
    np.testing.assert_allclose(forward, backward[::-1], atol=1e-4)


def test_the_same_input_gives_the_same_vector(embedder):
    np.testing.assert_array_equal(embedder.embed_images(IMAGES), embedder.embed_images(IMAGES))


def test_the_input_is_not_written_to(embedder):
    copies = [image.copy() for image in IMAGES]
    embedder.embed_images(IMAGES)
    for image, copy in zip(IMAGES, copies, strict=True):
        np.testing.assert_array_equal(image, copy)


def test_composed_and_decomposed_letters_are_one_text(embedder):
    import unicodedata

    text = "đường phố Hà Nội"
    both = embedder.embed_texts([unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)])
    assert float(both[0] @ both[1]) > 0.999


def test_threads_at_once_get_their_own_answers(embedder):
    from concurrent.futures import ThreadPoolExecutor

    texts, images = embedder.embed_texts(TEXTS), embedder.embed_images(IMAGES)
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(embedder.embed_texts, [TEXTS[i % len(TEXTS)]]) for i in range(24)]
        shown = [pool.submit(embedder.embed_images, [IMAGES[i % len(IMAGES)]]) for i in range(12)]
        for i, job in enumerate(asked):
            np.testing.assert_allclose(job.result()[0], texts[i % len(TEXTS)], atol=1e-4)
        for i, job in enumerate(shown):
            np.testing.assert_allclose(job.result()[0], images[i % len(IMAGES)], atol=1e-4)


def test_the_fingerprint_names_model_and_version(embedder):
    assert embedder.fingerprint
    assert embedder.fingerprint.isprintable()


def test_missing_files_name_the_cure(tmp_path):
    with pytest.raises(KhungError, match="khung models pull"):
        load_embedder(Settings(models_dir=tmp_path))
