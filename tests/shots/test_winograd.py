"""Minimal filtering is the plain convolution to a rounding error, whatever the size, and is what the exact mode computes with."""

import numpy as np
import openvino
import pytest
from openvino import opset13 as ops

from khung.shots.winograd import Tiling, minimal_filtering, rewrite


@pytest.mark.parametrize("size", range(2, 7))
def test_the_matrices_filter(size):
    rng = np.random.default_rng(size)
    taps, signal = rng.normal(size=3), rng.normal(size=size + 2)
    back, filters, into = minimal_filtering(size)
    np.testing.assert_allclose(
        back @ ((filters @ taps) * (into @ signal)), np.correlate(signal, taps, "valid"), atol=1e-12
    )


@pytest.mark.parametrize("length", [1, 2, 6, 7, 13, 27, 48])
def test_a_length_is_cut_into_tiles_and_put_together(length):
    rng = np.random.default_rng(length)
    taps, signal = rng.normal(size=3), rng.normal(size=length)
    tiling = Tiling(length)
    products = (tiling.filters @ taps)[:, None] * (tiling.into @ signal).reshape(tiling.places, tiling.tiles)
    expected = np.correlate(np.pad(signal, 1), taps, "valid")
    np.testing.assert_allclose(tiling.out @ products.ravel(), expected, atol=1e-12)
    if length == tiling.tiles * tiling.size:
        np.testing.assert_allclose((tiling.back @ products).T.ravel(), expected, atol=1e-12)


def convolutions(channels: int, height: int, width: int) -> openvino.Model:
    """Two sets of filters over one picture, as in a layer of TransNetV2."""
    rng = np.random.default_rng(3)
    source = ops.parameter([1, channels, 4, height, width], np.float32)
    results = []
    for _ in range(2):
        filters = rng.normal(size=(16, channels, 1, 3, 3)).astype(np.float32) / np.float32(3 * channels**0.5)
        spatial = ops.convolution(source, ops.constant(filters), [1, 1, 1], [0, 1, 1], [0, 1, 1], [1, 1, 1])
        results.append(ops.relu(spatial))
    return openvino.Model(results, [source], "layer")


def computed(model: openvino.Model, picture: np.ndarray) -> list[np.ndarray]:
    return [*openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([picture]).values()]


def kinds(model: openvino.Model) -> list[str]:
    return [node.get_type_name() for node in model.get_ordered_ops()]


@pytest.mark.parametrize(("height", "width"), [(27, 48), (13, 24), (6, 12), (5, 7), (1, 2)])
def test_a_rewritten_layer_gives_the_same(height, width):
    picture = np.random.default_rng(4).normal(size=(1, 32, 4, height, width)).astype(np.float32)
    plain = computed(convolutions(32, height, width), picture)
    model = convolutions(32, height, width)
    rewrite(model)
    assert "Convolution" not in kinds(model)
    for ours, theirs in zip(computed(model, picture), plain, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_a_layer_of_few_channels_is_left_alone():
    model = convolutions(3, 27, 48)
    rewrite(model)
    assert kinds(model).count("Convolution") == 2


@pytest.mark.models
def test_all_large_layers_of_the_network_are_rewritten(models_dir):
    model = openvino.Core().read_model(str(models_dir / "transnetv2.onnx"))
    before = kinds(model).count("Convolution")
    rewrite(model)
    assert before - kinds(model).count("Convolution") == 5 * 4  # the first layer's channels are three
