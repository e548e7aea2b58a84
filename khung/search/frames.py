"""The frames of a snapshot as columns, and how to get from vector ids to positions and back. Made once per snapshot.

Records are read only for the page that is shown; ranking needs no more than this.
"""

import numpy as np

from khung.records import frame_id, vector_id
from khung.stores import RecordStore


class Frames:
    """Columns by position; positions are in the order of (video, time)."""

    def __init__(self, records: RecordStore) -> None:
        self.timeline = records.timeline()
        self._order = np.argsort(self.timeline.vector_ids, kind="stable")
        self.ids = self.timeline.vector_ids[self._order]
        """All vector ids, ascending."""
        starts = np.searchsorted(self.timeline.video_index, np.arange(len(self.timeline.videos) + 1))
        self.starts = starts.astype(np.int64)
        """Where each video's frames begin; one more at the end."""

    def __len__(self) -> int:
        return len(self.ids)

    def positions(self, ids: np.ndarray) -> np.ndarray:
        """int64 positions of vector ids; ids that are not in the snapshot are left out."""
        if not len(self.ids):
            return np.zeros(0, np.int64)
        at = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
        return self._order[at[self.ids[at] == ids]]

    def known(self, ids: np.ndarray) -> np.ndarray:
        """Which of the ids are in the snapshot (bool)."""
        if not len(self.ids):
            return np.zeros(len(ids), bool)
        at = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
        return self.ids[at] == ids

    def frame_id(self, position: int) -> str:
        t = self.timeline
        return frame_id(t.videos[t.video_index[position]], int(t.frame_index[position]))

    def of_last(self, last_ms: int) -> np.ndarray:
        """Ascending ids of the frames in the last `last_ms` of their video."""
        t = self.timeline
        return np.sort(t.vector_ids[t.pts_ms >= t.duration_ms[t.video_index] - last_ms])

    def of_part(self, part: str) -> np.ndarray:
        """Ascending ids of the frames in the first, middle or last third of their video: `start`, `middle`, `end`."""
        t = self.timeline
        third = np.minimum(3 * t.pts_ms.astype(np.int64) // np.maximum(t.duration_ms[t.video_index], 1), 2)
        return np.sort(t.vector_ids[third == ("start", "middle", "end").index(part)])


def vector_ids(frame_ids: tuple[str, ...]) -> np.ndarray:
    return np.array([vector_id(f) for f in frame_ids], np.int64)
