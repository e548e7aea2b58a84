"""The keyframes of a video as the models get them: their pictures, and what is known of the same frames already.

What a model makes of them does not live here.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np

from khung.errors import NotFound
from khung.records import Keyframe
from khung.stores.library import Library
from khung.video.copies import same_frames
from khung.vision import Image

T = TypeVar("T")

IMAGES_AT_ONCE = 64
"""Decoded masters in memory: 64 × 6 MB at 1080p. The models make their own batches of them."""


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


def images_of(library: Library, frames: Sequence[Keyframe]) -> Iterator[list[Image]]:
    """The masters of the frames as RGB arrays, some at a time."""
    import cv2

    for start in range(0, len(frames), IMAGES_AT_ONCE):
        keys = [
            library.image_key(f.video_id, f.frame_index, "master.jpg") for f in frames[start : start + IMAGES_AT_ONCE]
        ]
        stored = (np.frombuffer(library.archive.get_bytes(key), np.uint8) for key in keys)
        yield [cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB) for data in stored]
