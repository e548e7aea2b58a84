"""Two pictures for people: the contact sheet of a video's keyframes, and its shots along the time axis.

Both are WebP, drawn with Pillow and a font that has every Vietnamese letter, and meant for the Dagster page of a video and the web page.
"""

import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from khung.records import Keyframe, Shot
from khung.timecode import format_ms

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

FONT = Path(__file__).parent / "fonts" / "DejaVuSans-latin.ttf"

ImageOf = Callable[[Keyframe], bytes]  # any encoded picture of the keyframe, best its thumbnail

PAPER, INK, FAINT, LINE = "#16181d", "#e8eaee", "#8b919c", "#2a2e36"
SHOT_TINTS = ("#39536b", "#4d6d8a")
CUT, GRADUAL, CURVE, MARK = "#e8eaee", "#e0a458", "#6bbf8a", "#f2c14e"
TILE, GAP, MARGIN, LABEL = (240, 136), 10, 24, 22
MAX_TILES = 48


def contact_sheet(
    title: str,
    keyframes: Sequence[Keyframe],
    image_of: ImageOf,
    *,
    columns: int = 6,
    label: Callable[[Keyframe], str] = lambda keyframe: f"shot {keyframe.shot_index + 1}",
) -> bytes:
    """Up to 48 keyframes, spread evenly over all of them, each with its time and a label. WebP."""
    from PIL import Image, ImageDraw

    shown = spread(keyframes, MAX_TILES)
    columns = max(1, min(columns, len(shown)))
    rows = math.ceil(len(shown) / columns)
    width = max(2 * MARGIN + columns * (TILE[0] + GAP) - GAP, 520)
    sheet = Image.new("RGB", (width, 64 + rows * (TILE[1] + LABEL + GAP) + MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    count = f"{len(keyframes)} keyframes" + (f", {len(shown)} shown" if len(shown) < len(keyframes) else "")
    _heading(draw, title, count, width)
    for place, keyframe in enumerate(shown):
        row, column = divmod(place, columns)
        left, top = MARGIN + column * (TILE[0] + GAP), 64 + row * (TILE[1] + LABEL + GAP)
        sheet.paste(_fitted(image_of(keyframe), TILE), (left, top))
        draw.text((left, top + TILE[1] + 4), format_ms(keyframe.pts_ms)[:-2], INK, font=_font(13))
        draw.text((left + TILE[0], top + TILE[1] + 4), label(keyframe), FAINT, font=_font(13), anchor="ra")
    return _webp(sheet)


def timeline(
    title: str,
    shots: Sequence[Shot],
    keyframes: Sequence[Keyframe],
    signals: dict[str, np.ndarray],
    image_of: ImageOf,
    *,
    width: int = 1480,
    marks: str = "keyframes",
) -> bytes:
    """Shots as bars along the time, cuts and gradual transitions, keyframes as marks, motion as a curve, pictures above. WebP.

    Before there are keyframes, candidates serve as well (`marks="candidates"`): only `pts_ms` is read.
    """
    from PIL import Image, ImageDraw

    sheet = Image.new("RGB", (width, 330), PAPER)
    draw = ImageDraw.Draw(sheet)
    axis = _Axis(MARGIN, width - MARGIN, max(shots[-1].end_ms if shots else 1, 1))
    _heading(draw, title, f"{len(shots)} shots, {len(keyframes)} {marks}, {format_ms(axis.end_ms)}", width)
    _film(sheet, axis, keyframes, image_of, top=64)
    _bars(draw, axis, shots, top=166, bottom=206)
    for keyframe in keyframes:
        x = axis(keyframe.pts_ms)
        draw.polygon([(x, 208), (x - 3, 216), (x + 3, 216)], MARK)
    _curve(draw, axis, signals, top=224, bottom=284)
    _ticks(draw, axis, top=292)
    return _webp(sheet)


class _Axis:
    """Milliseconds to pixels."""

    def __init__(self, left: int, right: int, end_ms: int) -> None:
        self.left, self.right, self.end_ms = left, right, end_ms

    def __call__(self, ms: float) -> float:
        return self.left + (self.right - self.left) * min(max(ms / self.end_ms, 0.0), 1.0)


def _film(sheet: "Image", axis: _Axis, keyframes: Sequence[Keyframe], image_of: ImageOf, top: int) -> None:
    """A strip of pictures, each the keyframe nearest to the time below its middle."""
    count = max(1, (axis.right - axis.left) // 160)
    step = (axis.right - axis.left) / count
    for place in range(count) if keyframes else ():
        middle = axis.end_ms * (place + 0.5) / count
        nearest = min(keyframes, key=lambda keyframe: abs(keyframe.pts_ms - middle))
        sheet.paste(_fitted(image_of(nearest), (int(step) - 4, 90)), (int(axis.left + place * step) + 2, top))


def _bars(draw: "ImageDraw", axis: _Axis, shots: Sequence[Shot], top: int, bottom: int) -> None:
    for shot in shots:
        tint = SHOT_TINTS[shot.shot_index % 2]
        draw.rectangle([axis(shot.start_ms), top, axis(shot.end_ms), bottom], tint)
    for shot in shots[1:]:
        if shot.transition_ms:
            draw.rectangle([axis(shot.transition_ms[0]), top, axis(shot.transition_ms[1]), bottom], GRADUAL)
        else:
            x = axis(shot.start_ms)
            draw.line([(x, top - 4), (x, bottom)], CUT, 1)


def _curve(draw: "ImageDraw", axis: _Axis, signals: dict[str, np.ndarray], top: int, bottom: int) -> None:
    """Motion, a value a pixel: the highest flow of the frames under it."""
    draw.text((axis.left, top - 2), "motion", FAINT, font=_font(11))
    draw.line([(axis.left, bottom), (axis.right, bottom)], LINE, 1)
    if not len(signals["pts_ms"]):
        return
    columns = np.array([int(axis(ms)) for ms in signals["pts_ms"]])
    highest = max(float(signals["flow"].max()), 0.1)
    points = [
        (int(x), bottom - (bottom - top) * float(signals["flow"][columns == x].max()) / highest)
        for x in np.unique(columns)
    ]
    draw.line(points, CURVE, 2, joint="curve")


def _ticks(draw: "ImageDraw", axis: _Axis, top: int) -> None:
    """Times at round steps, eight to sixteen of them."""
    rounds = [r * unit for unit in (1000, 60_000, 3_600_000) for r in (1, 2, 5, 10, 15, 20, 30)]
    step = next((each for each in rounds if axis.end_ms / each <= 16), rounds[-1])
    for ms in range(0, axis.end_ms + 1, step):
        label = format_ms(ms).split(".")[0]
        draw.line([(axis(ms), top), (axis(ms), top + 5)], FAINT, 1)
        draw.text((axis(ms), top + 8), label, FAINT, font=_font(12), anchor="ma" if ms else "la")


def _heading(draw: "ImageDraw", title: str, detail: str, width: int) -> None:
    draw.text((MARGIN, 22), title, INK, font=_font(20))
    draw.text((width - MARGIN, 26), detail, FAINT, font=_font(14), anchor="ra")


def spread(keyframes: Sequence[Keyframe], most: int) -> list[Keyframe]:
    """At most so many of them, evenly over the whole, the first and the last among them."""
    if len(keyframes) <= most:
        return list(keyframes)
    return [keyframes[round(i * (len(keyframes) - 1) / (most - 1))] for i in range(most)]


def _fitted(data: bytes, size: tuple[int, int]) -> "Image":
    """The picture, whole, in the middle of a dark tile of that size."""
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(data)) as opened:
        opened.draft("RGB", size)
        return ImageOps.pad(opened.convert("RGB"), size, color=LINE)


def _font(size: int) -> "FreeTypeFont":
    from PIL import ImageFont

    return ImageFont.truetype(FONT, size)


def _webp(sheet: "Image") -> bytes:
    buffer = io.BytesIO()
    sheet.save(buffer, "WEBP", quality=85, method=4)
    return buffer.getvalue()
