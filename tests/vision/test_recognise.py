"""The small rules of recognition: colours, overlapping boxes, faces at the edge, night and day."""

import numpy as np
import pytest

from khung.records import Region
from khung.vision import files
from khung.vision.colours import COLOURS, dominant_colours
from khung.vision.faces import FACE_SIDE, FaceReader, canvas, fitting
from khung.vision.objects import non_maximum, overlap
from khung.vision.recognise import _time_of_day
from khung.vision.vocabulary import vocabulary

PAINTS = {
    "black": (5, 5, 5), "white": (250, 250, 250), "grey": (128, 128, 128), "red": (220, 20, 20), "orange": (250, 140, 10),
    "yellow": (250, 230, 20), "green": (30, 160, 40), "blue": (20, 60, 220), "purple": (130, 30, 200),
    "pink": (250, 80, 170), "brown": (120, 70, 20),
}  # fmt: skip


def _plain(colour: tuple[int, int, int]) -> np.ndarray:
    return np.full((40, 60, 3), colour, np.uint8)


@pytest.mark.parametrize("name", PAINTS)
def test_a_plain_colour_has_its_name(name):
    assert dominant_colours(_plain(PAINTS[name])) == (name,)


def test_the_largest_share_comes_first_and_small_ones_are_left_out():
    picture = np.concatenate([_plain(PAINTS["blue"])] * 6 + [_plain(PAINTS["red"])] * 3 + [_plain(PAINTS["white"])])
    assert dominant_colours(picture) == ("blue", "red")


def test_every_colour_has_a_vietnamese_name():
    assert set(COLOURS) == set(PAINTS) == vocabulary("colour")


def test_of_two_boxes_on_one_thing_the_surer_stays_but_kinds_do_not_mix():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [0, 0, 10, 10], [20, 20, 30, 30]], float)
    assert non_maximum(boxes, np.array([0.5, 0.9, 0.4, 0.3]), np.array([0, 0, 1, 0]), 0.45) == [1, 2, 3]
    assert overlap(boxes[:1], boxes[1])[0] == pytest.approx(90 / 110)
    assert overlap(boxes[:1], boxes[3])[0] == 0


def test_luma_tells_night_from_day_and_leaves_dusk_open():
    assert [_time_of_day(_plain((v, v, v))) for v in (10, 60, 160)] == ["night", "unknown", "day"]


def _reader(models_dir):
    return FaceReader(*(files.path(n, models_dir) for n in ("blazeface-short-range.tflite", "fer-emotion.tflite")))


@pytest.fixture(scope="module")
def reader(models_dir):
    return _reader(models_dir)


@pytest.mark.models
def test_people_at_the_edges_and_of_no_size_are_looked_at_without_harm(reader):
    frame = np.random.default_rng(1).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    boxes = [(0.0, 0.0, 1.0, 1.0), (0.9, 0.8, 1.0, 1.0), (0.5, 0.5, 0.5, 0.5), (0.0, 0.0, 0.2, 1.0)]
    (faces,) = reader([frame], [[Region("person", 0.9, box) for box in boxes]])
    for face in faces:
        left, top, right, bottom = face.box
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1


@pytest.fixture(scope="module")
def with_faces(clips):
    """Frames of a clip with people, as they are, upright and square; and a whole frame as a person in each."""
    from bench.vision_finding import frames_of

    frames = frames_of(clips / "googlework_short.mp4")
    upright = [np.ascontiguousarray(frame[:, 90:230]) for frame in frames]
    square = [np.ascontiguousarray(frame[:, 60:240]) for frame in frames]
    images = [image for three in zip(frames, upright, square, strict=True) for image in three]
    return images, [[Region("person", 0.9, (0.0, 0.0, 1.0, 1.0))] for _ in images]


@pytest.mark.models
def test_faces_of_many_frames_are_those_of_each_alone(reader, with_faces):
    """However the windows fall into calls of the network, and whatever their shapes."""
    images, regions = with_faces
    assert {fitting((0, 0, i.shape[1], i.shape[0])) for i in images} == {(96, 128), (128, 128)}
    together = reader(images, regions)
    assert together == [reader([image], [some])[0] for image, some in zip(images, regions, strict=True)]
    assert sum(map(len, together)) >= 5
    assert {face.emotion for faces in together for face in faces} - {""}


@pytest.mark.models
def test_a_smaller_input_finds_the_faces_that_the_square_finds(reader, with_faces, monkeypatch):
    images, regions = with_faces
    fitted = reader(images, regions)
    monkeypatch.setattr(reader, "_shape", lambda window: (FACE_SIDE, FACE_SIDE))
    for one, other in zip(fitted, reader(images, regions), strict=True):
        assert [face.emotion for face in one] == [face.emotion for face in other]
        for face, same in zip(one, other, strict=True):
            assert overlap(np.array([face.box]), np.array(same.box))[0] > 0.9
            assert face.score == pytest.approx(same.score, abs=0.05)


@pytest.mark.models
def test_the_network_of_emotions_says_the_same_however_often_it_is_loaded(models_dir):
    """OpenVINO spoiled its weights in one of three loads when two streams were made of it."""
    face = np.random.default_rng(1).uniform(-1, 1, (1, 64, 64, 1)).astype(np.float32)
    said = [_reader(models_dir)._feel.map([face])[0][0] for _ in range(12)]
    for other in said[1:]:
        np.testing.assert_allclose(other, said[0], atol=1e-5)


@pytest.mark.parametrize(
    ("window", "shape"),
    [((0, 0, 1920, 1080), (96, 128)), ((5, 5, 645, 485), (96, 128)), ((0, 0, 1080, 1920), (128, 96)), ((0, 0, 500, 450), (128, 128)), ((0, 0, 4000, 2), (96, 128))],
)  # fmt: skip
def test_a_window_lies_whole_in_an_input_of_few_shapes(window, shape):
    assert fitting(window) == shape
    frame = np.full((window[3], window[2], 3), 200, np.uint8)
    small, square = canvas(frame, window, shape), canvas(frame, window, (FACE_SIDE, FACE_SIDE))
    np.testing.assert_array_equal(small, square[: shape[0], : shape[1]])
    assert not square[shape[0] :].any() and not square[:, shape[1] :].any()
