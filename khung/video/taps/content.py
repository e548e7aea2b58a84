"""PySceneDetect's content score of every frame, measured by its own ContentDetector on 192×108 pictures.

Only the score is kept (`content`, 0 to 255): its detectors are run on the stored scores later (khung.shots.content), so a
threshold can be changed without decoding again.
"""

from khung.video.views import Picture


class ContentTap:
    def __init__(self) -> None:
        from scenedetect import ContentDetector

        self._detector = ContentDetector(min_scene_len=0)

    def see(self, picture: Picture) -> None:
        picture.scores["content"] = float(self._detector._calculate_frame_score(None, picture.medium))

    def close(self) -> None:
        """Nothing is held back."""
