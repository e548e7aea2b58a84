"""The frames of a snapshot as columns, and how to get from vector ids to positions and back. Made once per snapshot.

Records are read only for the page that is shown; ranking needs no more than this.
"""

import numpy as np

from khung.records import frame_id, vector_id
from khung.search.loops import places
from khung.stores import RecordStore
from khung.stores.loops import at_hand

_ID_BITS = 63  # of a vector id


class Frames:
    """Columns by position; positions are in the order of (video, time)."""

    def __init__(self, records: RecordStore) -> None:
        self.timeline = records.timeline()
        self._order = np.argsort(self.timeline.vector_ids, kind="stable")
        self.ids = self.timeline.vector_ids[self._order]
        """All vector ids, ascending."""
        # Ids are hashes, evenly spread: their first bits say where to look, in a quarter of a binary search's time.
        self._shift = max(_ID_BITS - len(self.ids).bit_length(), 0)
        firsts = np.arange((1 << (_ID_BITS - self._shift)) + 1)
        self._from = np.searchsorted(self.ids >> self._shift, firsts).astype(np.int64)
        starts = np.searchsorted(self.timeline.video_index, np.arange(len(self.timeline.videos) + 1))
        self.starts = starts.astype(np.int64)
        """Where each video's frames begin; one more at the end."""

    def __len__(self) -> int:
        return len(self.ids)

    def positions(self, ids: np.ndarray) -> np.ndarray:
        """int64 positions of vector ids; ids that are not in the snapshot are left out."""
        at = self._places(ids)
        return self._order[at if (at >= 0).all() else at[at >= 0]]

    def known(self, ids: np.ndarray) -> np.ndarray:
        """Which of the ids are in the snapshot (bool)."""
        return self._places(ids) >= 0

    def _places(self, ids: np.ndarray) -> np.ndarray:
        """Where the ids stand in `self.ids` (int64), −1 where they do not."""
        return at_hand(places, len(ids))(ids, self.ids, self._from, self._shift)

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
