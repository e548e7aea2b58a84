"""Frame numbers and milliseconds of a constant frame rate, in whole numbers: no float drifts over a long video.

What does not live here: the times of a variable frame rate. Those are read from the video (`pts_ms`), never computed.
"""

from khung.errors import AnswerError


def ms_of_frame(frame_index: int, fps_num: int, fps_den: int) -> int:
    """When the frame begins, rounded to the nearest millisecond: `round(frame / fps × 1000)`, the AI Challenge's rule."""
    _check(fps_num, fps_den)
    return (2000 * frame_index * fps_den + fps_num) // (2 * fps_num)


def frame_of_ms(ms: int, fps_num: int, fps_den: int) -> int:
    """The frame on the screen at `ms`: the last one with `ms_of_frame(frame) <= ms`, so `frame_of_ms(ms_of_frame(f)) == f`."""
    _check(fps_num, fps_den)
    return -(-(2 * ms + 1) * fps_num // (2000 * fps_den)) - 1


def _check(fps_num: int, fps_den: int) -> None:
    if fps_num <= 0 or fps_den <= 0:
        raise AnswerError(
            "The video's frame rate is not known, so frames and milliseconds cannot be converted.",
            cure="Give the time from the player.",
        )
    if fps_num > 1000 * fps_den:
        raise AnswerError("Above 1000 frames a second a millisecond does not name one frame.")
