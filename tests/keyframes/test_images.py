"""The pictures of a keyframe, and the two pictures of a video for people."""

import io

import numpy as np
import pytest
from PIL import Image

from khung.keyframes.images import VARIANTS, render, render_many
from khung.keyframes.sheet import contact_sheet, spread, timeline
from khung.records import Keyframe, Shot


def master(width: int = 640, height: int = 360, seed: int = 0) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 255, (12, 16, 3), np.uint8)
    picture = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def keyframe(index: int, shot: int = 0) -> Keyframe:
    return Keyframe("v", index, index * 40, shot, 0.5, 0.1, 0.2, 0.9, index)


def test_all_variants_show_the_same_picture():
    source = master()
    made = render(source)
    assert tuple(made) == VARIANTS
    assert made["master.jpg"] == source
    original = np.asarray(opened(source).convert("RGB"), np.float32)
    for variant, kind in (("display.webp", "WEBP"), ("display.avif", "AVIF")):
        picture = opened(made[variant])
        assert (picture.format, picture.size) == (kind, (640, 360))
        error = np.mean((np.asarray(picture.convert("RGB"), np.float32) - original) ** 2)
        assert 10 * np.log10(255**2 / error) > 32


@pytest.mark.parametrize(
    ("size", "thumb"),
    [((640, 360), (320, 180)), ((360, 640), (135, 240)), ((1000, 1000), (240, 240)), ((100, 50), (100, 50))],
)
def test_a_thumbnail_fits_its_box_and_keeps_its_shape(size, thumb):
    assert opened(render(master(*size))["thumb.webp"]).size == thumb


def test_many_in_threads_are_the_same_and_in_order():
    masters = [master(seed=seed) for seed in range(4)]
    assert list(render_many(masters, workers=2)) == [render(each) for each in masters]


def test_spread_keeps_the_first_and_the_last():
    frames = [keyframe(i) for i in range(100)]
    few = spread(frames, 7)
    assert (len(few), few[0], few[-1]) == (7, frames[0], frames[-1])
    assert spread(frames[:3], 7) == frames[:3]


@pytest.mark.parametrize("count", [1, 5, 130])
def test_contact_sheet_is_a_picture_of_its_keyframes(count):
    asked = []

    def image_of(frame: Keyframe) -> bytes:
        asked.append(frame.frame_index)
        return master(seed=frame.frame_index % 3)

    sheet = opened(contact_sheet("nasa_13013", [keyframe(i) for i in range(count)], image_of))
    assert sheet.format == "WEBP"
    assert sheet.width <= 1600
    assert len(asked) == min(count, 48)


def test_timeline_draws_shots_transitions_and_motion():
    shots = [
        Shot("v", 0, 0, 50, 0, 2000),
        Shot("v", 1, 50, 100, 2000, 4000, "gradual", ("transnet",), 0.9, (1800, 2300)),
    ]
    looks = {"pts_ms": np.arange(100) * 40, "flow": np.linspace(0, 1, 100, dtype=np.float32)}
    drawn = opened(timeline("v", shots, [keyframe(10), keyframe(70, 1)], looks, lambda _: master()))
    assert drawn.size == (1480, 330)
    colours = {tuple(c) for c in np.asarray(drawn.convert("RGB"))[186].reshape(-1, 3)[::4].tolist()}
    assert any(r > 180 and 120 < g < 190 and b < 130 for r, g, b in colours)  # the dissolve is marked


def test_a_video_of_one_frame_can_be_drawn():
    looks = {"pts_ms": np.array([0]), "flow": np.zeros(1, np.float32)}
    opened(timeline("v", [Shot("v", 0, 0, 1, 0, 40)], [keyframe(0)], looks, lambda _: master()))
    opened(contact_sheet("v", [], lambda _: master()))
