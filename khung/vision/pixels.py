"""Scaling frames down for those that look at small pictures. What each of them wants beside that is its own business."""

from functools import lru_cache

import numpy as np

from khung.stores.loops import compiled
from khung.vision import Image


def shrunk(image: Image, width: int, height: int) -> Image:
    """`(height, width, 3)` uint8: the mean of the pixels under each new one, those at its edges by their share (what OpenCV calls
    INTER_AREA). Classes are sensitive to it: bilinear samples of the same frames gave another first class for one in six.

    OpenCV takes 3 ms for 720p into 224 × 224, because only whole factors are vectorised there; rows are added whole here, which takes a fifth of
    that. Where a side does not become smaller, OpenCV does it.
    """
    if image.shape[0] < height or image.shape[1] < width:
        import cv2

        return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    small = np.empty((height, width, 3), np.uint8)
    rows = np.ascontiguousarray(image).reshape(len(image), -1)
    compiled(_means, any_order=True)(rows, *_shares(image.shape[0], height), *_shares(image.shape[1], width), small)
    return small


@lru_cache(maxsize=256)
def _shares(old: int, new: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each of `new` pixels along one side the first of the `old` ones that have a part in it, and the shares `(new, n)` float32 of this
    one and those after it, 1 together."""
    edges = np.arange(new + 1) * (old / new)
    n = min(int(np.ceil(old / new)) + 1, old)
    first = np.minimum(edges[:-1].astype(np.int64), old - n)
    under = first[:, None] + np.arange(n)
    parts = np.minimum(edges[1:, None], under + 1) - np.maximum(edges[:-1, None], under)
    parts = np.clip(parts, 0, None)
    return first.astype(np.uint64), (parts / parts.sum(1, keepdims=True)).astype(np.float32)


def _means(rows, from_row, row_shares, from_column, column_shares, small):
    """Into `small`: the rows of bytes under each new row added up, then their pixels. Numbers that index are unsigned: else each is tested for counting
    from the end."""
    sums = np.empty(rows.shape[1], np.float32)
    for y in range(small.shape[0]):
        sums[:] = 0
        for k in range(row_shares.shape[1]):
            share, row = row_shares[y, k], rows[from_row[y] + np.uint64(k)]
            if share > 0:
                for i in range(len(sums)):
                    sums[i] += share * np.float32(row[i])
        for x in range(small.shape[1]):
            red, green, blue = (
                np.float32(0.5),
                np.float32(0.5),
                np.float32(0.5),
            )  # the whole number below is the nearest one
            at = np.uint64(3) * from_column[x]
            for k in range(column_shares.shape[1]):
                share = column_shares[x, k]
                red += share * sums[at]
                green += share * sums[at + np.uint64(1)]
                blue += share * sums[at + np.uint64(2)]
                at += np.uint64(3)
            small[y, x, 0], small[y, x, 1], small[y, x, 2] = np.int32(red), np.int32(green), np.int32(blue)
