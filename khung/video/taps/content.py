"""PySceneDetect's content score of every frame, measured by its own ContentDetector on 192×108 pictures.

Only the score is kept (`content`, 0 to 255): its detectors are run on the stored scores later (khung.shots.content), so a
threshold can be changed without decoding again. A frame that looks like the first after a hard cut is marked (`picture.jumps`) for
the taps behind.
"""

from collections import deque

from khung.video.views import Picture

JUMP = 15.0  # PySceneDetect's min_content_val for adaptive cuts …
JUMP_RATIO = 3.0  # … and its ratio to the neighbours, here to the two before


class ContentTap:
    def __init__(self) -> None:
        from scenedetect import ContentDetector

        self._detector = ContentDetector(min_scene_len=0)
        self._before: deque[float] = deque([0.0, 0.0], maxlen=2)

    def see(self, picture: Picture) -> None:
        score = float(self._detector._calculate_frame_score(None, picture.medium))
        picture.scores["content"] = score
        picture.jumps = score >= JUMP and score >= JUMP_RATIO * sum(self._before) / 2
        self._before.append(score)

    def close(self) -> None:
        """Nothing is held back."""
