"""The small rules of recognition: colours, overlapping boxes, faces at the edge, night and day."""

import numpy as np
import pytest

from khung.records import Region
from khung.vision import files
from khung.vision.colours import COLOURS, dominant_colours
from khung.vision.faces import FaceReader
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


@pytest.mark.models
def test_people_at_the_edges_and_of_no_size_are_looked_at_without_harm(models_dir):
    reader = FaceReader(*(files.path(n, models_dir) for n in ("blazeface-short-range.tflite", "fer-emotion.tflite")))
    frame = np.random.default_rng(1).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    boxes = [(0.0, 0.0, 1.0, 1.0), (0.9, 0.8, 1.0, 1.0), (0.5, 0.5, 0.5, 0.5), (0.0, 0.0, 0.2, 1.0)]
    (faces,) = reader([frame], [[Region("person", 0.9, box) for box in boxes]])
    for face in faces:
        left, top, right, bottom = face.box
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1
