"""Frames that an embedder fails on go into another space, alone, with the reason. Real failures of real (tiny) models."""

import numpy as np
import pytest

from khung.errors import DeviceLost, ModelError
from khung.vision.fallback import embed_or_fall_back, waiting

SLIVER = np.zeros((1, 1000, 3), np.uint8)  # Qwen2-VL refuses an aspect ratio above 200


@pytest.fixture(scope="module")
def spaces(tiny):
    from khung.vision.gme import GmeTower
    from khung.vision.siglip import SiglipTower
    from khung.vision.towers import TowerEmbedder
    from tests.support.tiny_models import checkpoint

    return TowerEmbedder(GmeTower(checkpoint(tiny("gme")), most_tokens=64)), TowerEmbedder(
        SiglipTower(checkpoint(tiny("siglip2")))
    )


@pytest.fixture(scope="module")
def pictures():
    from tests.support.tiny_models import picture

    return [picture(seed) for seed in range(5)]


@pytest.mark.torch
def test_only_the_frame_at_fault_leaves_the_space(spaces, pictures):
    gme, siglip = spaces
    images = [*pictures[:3], SLIVER, *pictures[3:]]
    found = embed_or_fall_back(images, gme, siglip)
    assert found.first.positions == [0, 1, 2, 4, 5]
    assert found.second.positions == [3]
    assert found.lost == ()
    assert list(found.reasons) == [3]
    assert found.reasons[3]
    assert (found.first.fingerprint, found.second.fingerprint) == (gme.fingerprint, siglip.fingerprint)
    np.testing.assert_allclose(np.stack(found.first.vectors), gme.embed_images(pictures), atol=1e-5)
    np.testing.assert_allclose(found.second.vectors[0], siglip.embed_images([SLIVER])[0], atol=1e-5)
    assert waiting([10, 11, 12, 13, 14, 15], [10 + at for at in found.first.positions]) == [13]


@pytest.mark.torch
def test_without_a_fallback_the_frame_is_lost_and_said_so(spaces, pictures):
    found = embed_or_fall_back([pictures[0], SLIVER], spaces[0], None)
    assert (found.first.positions, found.second, found.lost) == ([0], None, (1,))


@pytest.mark.torch
def test_all_frames_may_fall_back_but_not_all_be_lost(spaces):
    found = embed_or_fall_back([SLIVER, SLIVER], *spaces)
    assert (found.first.positions, found.second.positions) == ([], [0, 1])
    with pytest.raises(ModelError):
        embed_or_fall_back([SLIVER, SLIVER], spaces[0], None)


@pytest.mark.torch
def test_nothing_fails_nothing_falls_back(spaces, pictures):
    found = embed_or_fall_back(pictures, *spaces)
    assert (found.second.positions, found.reasons) == ([], {})
    assert embed_or_fall_back([], *spaces).first.positions == []


def test_a_lost_device_is_not_a_frame_s_failure():
    class Lost:
        fingerprint, dim = "lost", 2

        def embed_images(self, images):
            raise DeviceLost("the context is dead")

        embed_texts = embed_images

    with pytest.raises(DeviceLost):
        embed_or_fall_back([SLIVER], Lost(), Lost())
