"""What every TextReader keeps to: NFC lines from top to bottom, boxes inside the frame, nothing where there is nothing."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from khung.settings import Settings
from khung.vision import TextReader
from khung.vision.load import load_vision


@pytest.fixture(scope="module", params=[pytest.param("embedded", marks=pytest.mark.models)])
def reader(request, models_dir) -> TextReader:
    return load_vision(Settings(profile=request.param, models_dir=models_dir)).reader


@pytest.fixture(scope="module")
def pictures(clips) -> dict[str, np.ndarray]:
    return {path.stem: _rgb(path) for path in (clips / "vision").glob("*.png")}


def _rgb(path: Path) -> np.ndarray:
    return np.asarray(Picture.open(path).convert("RGB"))


def test_a_boxed_vietnamese_caption_is_read_without_an_error(reader, pictures):
    (lines,) = reader.read([pictures["caption_boxed"]])
    assert [line.text for line in lines] == ["Thủ tướng thăm Đà Nẵng"]


def test_lines_come_from_top_to_bottom(reader, pictures):
    (lines,) = reader.read([pictures["two_lines"]])
    assert [line.text for line in lines] == ["Trường Đại học Bách khoa", "Giảm giá 50% hôm nay"]


def test_no_text_gives_no_lines(reader, pictures):
    assert reader.read([pictures["no_text"], np.zeros((64, 64, 3), np.uint8)]) == [(), ()]
    assert reader.read([]) == []


def test_slivers_and_specks_are_read_as_nothing(reader):
    shapes = [(1, 1), (3, 400), (400, 3), (20, 2000)]
    assert reader.read([np.full((*shape, 3), 128, np.uint8) for shape in shapes]) == [()] * len(shapes)


def test_lines_are_nfc_with_boxes_inside_the_frame(reader, pictures):
    for lines in reader.read(list(pictures.values())):
        for line in lines:
            left, top, right, bottom = line.box
            assert 0 <= left < right <= 1
            assert 0 <= top < bottom <= 1
            assert 0 <= line.score <= 1
            assert unicodedata.is_normalized("NFC", line.text)


def test_a_picture_alone_is_as_in_a_batch(reader, pictures):
    images = list(pictures.values())
    assert [reader.read([image])[0] for image in images] == reader.read(images)
