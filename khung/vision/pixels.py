"""Scaling frames down for those that look at small pictures. What each of them wants beside that is its own business."""

from khung.vision import Image


def shrunk(image: Image, width: int, height: int) -> Image:
    """`(height, width, 3)` uint8: the mean of the pixels under each new one, of a frame that is larger (OpenCV's INTER_AREA).

    It is halved first as long as both sides stay at least as large: means of 2 × 2 pixels are vectorised in OpenCV, means over fractions
    of pixels are not. For 1080p into 64 × 64 a fifth of the time; single pixels differ by up to nine levels. The classes of ImageNet are
    not looked for in such a picture: where none is sure, these levels changed the first of them on seven frames of a hundred.
    """
    import cv2

    while (
        image.shape[1] >= 2 * width and image.shape[0] >= 2 * height and not (image.shape[0] % 2 or image.shape[1] % 2)
    ):
        image = cv2.resize(image, (image.shape[1] // 2, image.shape[0] // 2), interpolation=cv2.INTER_AREA)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
