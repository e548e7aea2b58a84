"""The 8-bit networks say what the float32 ones say, nearly; and what they say does not depend on the processor.

The frames are those of the repository's clips. Over all clips at hand, with retrieval, `python -m bench.vision` measures the same.
"""

import numpy as np
import pytest
from foreign_ranges import give_ranges_of_another

from khung.errors import ModelError
from khung.settings import EmbedderSettings, Settings
from khung.vision import eight_bits, runtime
from khung.vision.classes import ImageClassifier
from khung.vision.embedded import Embedded
from khung.vision.encoders import load_encoder
from khung.vision.load import fingerprints
from khung.vision.objects import SIDE, ObjectDetector, fitting, letterbox

pytestmark = pytest.mark.models

CLIPS = ("cockatoo_cc0.mp4", "googlework_short.mp4", "nasa_13013.mp4")


@pytest.fixture(scope="module")
def frames(clips):
    from bench.vision_finding import frames_of

    return [frame for name in CLIPS for frame in frames_of(clips / name, 2.0)]


@pytest.fixture(scope="module")
def seen(models_dir, frames):
    """Precision → probabilities and boxes; `portable` as on a processor without the instructions."""

    def look(precision):
        parts = Embedded(models_dir, precision)
        return parts._classifier(frames), parts._detector(frames)

    found = {precision: look(precision) for precision in ("exact", "int8")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime, "cpu_has_int8", lambda: False)
        found["portable"] = look("int8")
    return found


@pytest.fixture(scope="module")
def embedder(models_dir):
    return Embedded(models_dir, "exact").embedder


@pytest.mark.parametrize(("one", "other"), [("exact", "int8"), ("exact", "portable"), ("int8", "portable")])
def test_they_agree(seen, embedder, one, other):
    from bench.vision_finding import agreement

    found = agreement({"all": seen[one]}, {"all": seen[other]}, embedder)
    assert found["first_class"] >= 0.9
    assert found["first_class_where_sure"] == 1.0
    assert found["probability_mean_of_largest_difference"] < 0.03
    assert found["boxes_f1"] >= 0.95
    assert found["cosine_median"] >= 0.99
    assert found["cosine_min"] >= 0.9


def test_integers_are_used_where_there_are_instructions_for_them_and_nowhere_else(models_dir):
    """With them nothing would be gained in float32; without them 8-bit sums would saturate."""
    for net, share in (
        (ImageClassifier(models_dir / "efficientnet-lite0.tflite", precision="int8")._net, 1 / 2),
        (ObjectDetector(models_dir / "yolox-nano.onnx", precision="int8")._nets((256, 416)), 1 / 3),
    ):
        graph = net._compiled.get_runtime_model()
        kinds = [op.get_rt_info() for op in graph.get_ordered_ops()]
        layers = [kind["primitiveType"].value for kind in kinds if kind["layerType"].value == "Convolution"]
        integers = sum(layer.endswith("_I8") for layer in layers)
        assert integers >= share * len(layers) if eight_bits.cpu_has_int8() else integers == 0


def test_the_sums_over_pixels_are_those_over_dealt_pixels(models_dir, frames):
    """YOLOX's file with the input that it asks for, against the graph that takes bytes."""
    import openvino

    compiled = openvino.Core().compile_model(
        str(models_dir / "yolox-nano.onnx"), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    ours = ObjectDetector(models_dir / "yolox-nano.onnx")._nets((SIDE, SIDE))
    for frame in frames[::8]:
        pixels = letterbox(frame)[None]
        theirs = compiled([np.ascontiguousarray(pixels[..., ::-1].transpose(0, 3, 1, 2), np.float32)])[0]
        np.testing.assert_allclose(ours(pixels)[0], theirs, atol=2e-3)


@pytest.mark.parametrize(
    ("frame", "shape"),
    [((720, 1280), (256, 416)), ((1280, 720), (416, 256)), ((480, 640), (320, 416)), ((500, 500), (416, 416)), ((2, 4000), (192, 416)), ((9, 21), (192, 416))],
)  # fmt: skip
def test_the_8_bit_detector_is_spared_the_grey(frame, shape):
    image = np.zeros((*frame, 3), np.uint8)
    assert fitting(image) == shape
    square, fitted = letterbox(image), letterbox(image, shape)
    np.testing.assert_array_equal(fitted, square[: shape[0], : shape[1]])
    assert (square[shape[0] :] == 114).all() and (square[:, shape[1] :] == 114).all()


def test_frames_of_all_shapes_need_few_networks(models_dir):
    """Each costs a second and tens of megabytes: were there many, a mixed library would fill the memory or make them again and again."""
    sizes = [(h, w) for h in range(1, 2200, 37) for w in range(1, 4100, 41)]
    shapes = {size: fitting(np.empty((*size, 3), np.uint8)) for size in sizes}
    assert len(set(shapes.values())) == 7
    for (height, width), shape in shapes.items():
        assert max(shape) == SIDE and all(side % 64 == 0 or side == SIDE for side in shape)
        assert (
            round(height * SIDE / max(height, width)) <= shape[0]
            and round(width * SIDE / max(height, width)) <= shape[1]
        )


def test_frames_of_many_shapes_in_one_call_are_seen_as_one_by_one(models_dir, frames):
    """Upright, wide and square ones."""
    detector = ObjectDetector(models_dir / "yolox-nano.onnx", precision="int8", threads=1)
    wide = frames[::6]
    mixed = [part for f in wide for part in (f, np.ascontiguousarray(f[:, : f.shape[0]]), np.ascontiguousarray(f[:, : f.shape[0] // 2]))]  # fmt: skip
    together = detector(mixed)
    assert set(detector._nets._nets) == {(256, 416), (416, 416), (416, 256)}
    assert together == [detector([one])[0] for one in mixed]
    assert any(together)


def test_ranges_of_another_file_are_refused(models_dir, tmp_path, monkeypatch):
    give_ranges_of_another("yolox-nano.onnx", tmp_path, monkeypatch)
    with pytest.raises(ModelError, match="KHUNG_EMBEDDED_PRECISION=exact"):
        ObjectDetector(models_dir / "yolox-nano.onnx", precision="int8")


def test_the_two_are_spaces_of_their_own_and_each_finds_its_encoder(models_dir):
    def of(precision):
        return Settings(_env_file=None, models_dir=models_dir, embedded_precision=precision)

    eight, exact = fingerprints(of("int8")), fingerprints(of("exact"))
    assert eight.embedder != exact.embedder and eight.describer != exact.describer
    assert eight.reader == exact.reader, "the reader of text has no 8-bit form"
    assert load_encoder(of("exact"), eight.embedder).fingerprint == eight.embedder
    large = of("int8").model_copy(
        update={"profile": "gpu", "embedder": EmbedderSettings(name="gme-2b", _env_file=None)}
    )
    assert load_encoder(large, exact.embedder).fingerprint == exact.embedder


def test_the_biases_make_up_for_the_rounding_of_weights(models_dir, frames, monkeypatch):
    """Without what was measured of it, the classes move further: up to twice as far, by how the processor rounds."""
    path = models_dir / "efficientnet-lite0.tflite"
    exact, shifted = (ImageClassifier(path, precision=one)(frames) for one in ("exact", "int8"))
    known = {name: {k: v for k, v in of.items() if k != "shifts"} for name, of in eight_bits._known().items()}
    monkeypatch.setattr(eight_bits, "_known", lambda: known)
    plain = ImageClassifier(path, precision="int8")(frames)
    assert 1.15 * np.abs(shifted - exact).max(1).mean() < np.abs(plain - exact).max(1).mean()
