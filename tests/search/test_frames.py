"""From vector ids to positions and back, whatever the ids are."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from khung.search import frames as module
from khung.search.frames import Frames
from khung.stores import Timeline
from khung.stores.loops import compiled

IDS = st.integers(0, 2**63 - 1) | st.integers(0, 40) | st.integers(2**63 - 40, 2**63 - 1)


def frames_of(ids: list[int]) -> Frames:
    count = len(ids)
    none = np.zeros(count, np.int32)
    timeline = Timeline(
        videos=("only",),
        vector_ids=np.array(ids, np.int64),
        video_index=none,
        frame_index=np.arange(count, dtype=np.int32),
        pts_ms=np.arange(count, dtype=np.int32),
        shot_index=none,
        phash=np.zeros(count, np.uint64),
        duration_ms=np.array([count]),
    )
    return Frames(SimpleNamespace(timeline=lambda: timeline))


@pytest.mark.parametrize("run", [lambda loop: loop, compiled], ids=["as it stands", "compiled"])
def test_a_position_is_that_of_its_id(monkeypatch, run):
    monkeypatch.setattr(module, "at_hand", lambda loop, rounds: run(loop))

    @given(ids=st.lists(IDS, unique=True, max_size=60), asked=st.lists(IDS | st.just(-1), max_size=30))
    def check(ids, asked):
        frames, asked = frames_of(ids), [*asked, *ids[::2]]
        wanted = np.array(asked, np.int64)
        assert frames.known(wanted).tolist() == [one in ids for one in asked]
        assert frames.positions(wanted).tolist() == [ids.index(one) for one in asked if one in ids]

    check()
