"""Frames that an embedder fails on go into another space, alone, with the reason. Real failures of real (tiny) models."""

import numpy as np
import pytest

from khung.errors import DeviceLost, ModelError, ModelFileMissing
from khung.vision.fallback import Deferred, embed_each, embed_or_fall_back

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


@pytest.mark.torch
def test_the_frames_that_wait_are_tried_again_without_a_fallback(spaces, pictures):
    found, failures = embed_each([SLIVER, pictures[0]], spaces[0])
    assert (found.positions, list(failures)) == ([1], [0])
    found, failures = embed_each([SLIVER, SLIVER], spaces[0])
    assert (found.positions, sorted(failures)) == ([], [0, 1])


@pytest.mark.torch
def test_a_fallback_that_is_not_here_costs_only_the_frames_at_fault(spaces, pictures):
    def missing():
        raise ModelFileMissing("The model siglip2-base is not here.", cure="Run `khung models pull siglip2-base`.")

    found = embed_or_fall_back([pictures[0], SLIVER], spaces[0], Deferred("siglip", missing))
    assert (found.first.positions, found.lost) == ([0], (1,))
    assert "khung models pull siglip2-base" in found.cure
    assert embed_or_fall_back([SLIVER], spaces[0], Deferred("siglip", missing)).lost == (0,)


def test_a_fallback_is_loaded_when_it_is_asked_and_once(pictures):
    loads = []

    class Flat:
        fingerprint, dim = "flat", 2

        def embed_images(self, images):
            return np.tile(np.array([1.0, 0.0], np.float32), (len(images), 1))

        embed_texts = embed_images

    class Broken(Flat):
        fingerprint = "broken"

        def embed_images(self, images):
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied\nand so on")

    fallback = Deferred("flat", lambda: loads.append(1) or Flat())
    assert embed_or_fall_back([SLIVER], Flat(), fallback).reasons == {}
    assert loads == []
    found = embed_or_fall_back([SLIVER, SLIVER], Broken(), fallback)
    assert (found.second.positions, loads, fallback.dim) == ([0, 1], [1], 2)
    assert found.reasons[0] == "RuntimeError: mat1 and mat2 shapes cannot be multiplied"
