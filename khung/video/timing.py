"""Times of frames: from a stream's ticks to integer milliseconds, and the frame rate they amount to. Pure arithmetic."""

from fractions import Fraction

import numpy as np

_FALLBACK_RATE = Fraction(25)


class Clock:
    """Turns presentation times into milliseconds from the first frame's, mending what is missing or runs backwards.

    A missing time is the one before plus the frame's duration; so is one that is not after the one before.
    """

    def __init__(self, time_base: Fraction | None, rate: Fraction | None) -> None:
        self.tick = Fraction(time_base) if time_base else 1 / _FALLBACK_RATE
        self.nominal = max(1, round(1 / (rate or _FALLBACK_RATE) / self.tick))  # ticks from one frame to the next
        self._twice_ms = 2000 * self.tick.numerator  # whole numbers: as exact as fractions, and far quicker
        self._divisor = self.tick.denominator
        self.repaired = 0
        self._first: int | None = None
        self._last = 0
        self._step = self.nominal

    def read(self, pts: int | None, duration: int | None = None) -> int:
        """The next frame's time in ms, rounded half up."""
        if self._first is None:
            self._first = self._last = pts if pts is not None else 0
            self.repaired += pts is None
        elif pts is None or pts <= self._last:
            self._last += self._step
            self.repaired += 1
        else:
            self._last = pts
        self._step = duration or self.nominal
        return ((self._last - self._first) * self._twice_ms + self._divisor) // (2 * self._divisor)

    @property
    def seconds(self) -> Fraction:
        """The last frame's time from the first one's, to the tick."""
        return (self._last - (self._first or 0)) * self.tick


def frame_rate(pts_ms: np.ndarray, promised: Fraction | None) -> tuple[Fraction, bool]:
    """`(average rate, is it variable)` of the frames at these times.

    The promised rate is kept when the times agree with it to a thousandth (so 29.97 stays 30000/1001), and when nearly all steps do: a
    pause of half a minute changes where the frames are, not how they follow one another. Variable: more than one in 200 steps is off
    the median by more than a millisecond and a twentieth, or a frame is shown more than a step and a half from where its number says.
    """
    if len(pts_ms) < 2 or pts_ms[-1] <= pts_ms[0]:
        return promised or _FALLBACK_RATE, False
    steps = np.diff(pts_ms)
    median = float(np.median(steps))
    off = np.abs(steps - median) > max(1.01, median / 20)
    measured = Fraction(1000 * (len(pts_ms) - 1), int(pts_ms[-1] - pts_ms[0]))
    uneven = bool(off.mean() > 1 / 200)
    agrees = promised and abs(promised / measured - 1) < Fraction(1, 1000)
    follows = promised and not uneven and abs(median - float(1000 / promised)) <= 1
    slowest = Fraction(1, 1001)  # a frame in a quarter of an hour: what is slower has no rate
    rate = promised if promised and (agrees or follows) else max(measured.limit_denominator(1001), slowest)
    apart = np.abs(pts_ms - pts_ms[0] - np.arange(len(pts_ms)) * float(1000 / rate))
    return rate, uneven or bool(apart.max() > 1.5 * max(median, 1.0))


def duration_ms(pts_ms: np.ndarray, rate: Fraction, last_ms: float = 0.0) -> int:
    """To the end of the last frame, which is shown as long as a frame usually is, or for `last_ms` when that is longer."""
    if not len(pts_ms):
        return 0
    usual = float(np.median(np.diff(pts_ms))) if len(pts_ms) > 1 else float(1000 / rate)
    return int(pts_ms[-1] + round(max(usual, last_ms, 1.0)))
