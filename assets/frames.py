"""The keyframes of a video as the models get them: their pictures, as files or as pixels, and what is known of the same frames already.

What a model makes of them does not live here.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from khung.errors import CorruptError, NotFound
from khung.records import Keyframe
from khung.stores.library import Library
from khung.video.copies import same_frames
from khung.vision import Image
from khung.vision.towers import ahead

T = TypeVar("T")

IMAGES_AT_ONCE = 64
"""Decoded masters in memory, twice: 128 × 6 MB at 1080p. The models make their own batches of them."""


def borrowed(
    video_id: str, frames: Sequence[Keyframe], library: Library, results_of: Callable[[str], Mapping[int, T]]
) -> dict[int, T]:
    """Our frame index → what the model said of the same frame in the video that this one is a copy of.

    `results_of` gives a video's results by frame index, or raises NotFound: then nothing is borrowed.
    """
    video = library.video(video_id)
    if not video.derived_from:
        return {}
    try:
        theirs, keyframes = results_of(video.derived_from), library.keyframes(video.derived_from)
    except NotFound:
        return {}
    same = same_frames(frames, keyframes, video.derived_offset_ms)
    return {ours: theirs[index] for ours, index in same.items() if index in theirs}


READERS = 4  # threads: an archive in S3 answers after some milliseconds, however small the file
JPEG_BEGINS, JPEG_ENDS = b"\xff\xd8", b"\xff\xd9"


def masters_of(library: Library, frames: Sequence[Keyframe]) -> Iterator[bytes]:
    """The masters of the frames as JPEG files, read ahead; whoever looks at them decodes them. Raises NotFound, CorruptError."""
    with ThreadPoolExecutor(READERS, "read") as pool:
        yield from ahead(pool, frames, lambda frame: _file(library, frame), 4 * READERS)


def images_of(library: Library, frames: Sequence[Keyframe]) -> Iterator[list[Image]]:
    """The masters of the frames as RGB arrays, some at a time; the next ones are decoded while the model looks at these.

    Raises NotFound, CorruptError."""
    parts = [frames[start : start + IMAGES_AT_ONCE] for start in range(0, len(frames), IMAGES_AT_ONCE)]
    with ThreadPoolExecutor(1, "decode") as pool:
        yield from ahead(pool, parts, lambda part: [_image(library, frame) for frame in part], 2)


def _file(library: Library, frame: Keyframe) -> bytes:
    key = library.image_key(frame.video_id, frame.frame_index, "master.jpg")
    data = library.archive.get_bytes(key)
    if not (data.startswith(JPEG_BEGINS) and data.endswith(JPEG_ENDS)):
        raise _broken(key)
    return data


def _image(library: Library, frame: Keyframe) -> Image:
    import cv2

    pixels = cv2.imdecode(np.frombuffer(_file(library, frame), np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise _broken(library.image_key(frame.video_id, frame.frame_index, "master.jpg"))
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def _broken(key: str) -> CorruptError:
    return CorruptError(f"{key} is no picture that can be read.", cure="Make the video's keyframes again.")
