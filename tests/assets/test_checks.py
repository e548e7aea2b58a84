"""The rules of the house, each broken once."""

from dataclasses import replace

import numpy as np
import pytest
from sample_frames import make_records, make_shots, make_vectors, make_video
from sample_shelf import make_input, seal_one

from assets import checks
from assets.checks import CheckFailed

VIDEO, SHOTS = make_video("a"), make_shots("a")
FRAMES = [record.keyframe for record in make_records("a")]
VECTORS = make_vectors(len(FRAMES))


def test_what_holds_passes():
    checks.shots_tile(VIDEO, SHOTS)
    checks.every_shot_has_a_keyframe(SHOTS, FRAMES)
    checks.vectors_fit(FRAMES, VECTORS)
    checks.notes_fit(FRAMES, [frame.frame_index for frame in FRAMES])


@pytest.mark.parametrize(
    ("shots", "says"),
    [
        ([SHOTS[0], replace(SHOTS[1], start_frame=SHOTS[1].start_frame + 1)], "not from 125 on"),  # a gap
        ([SHOTS[0], replace(SHOTS[1], start_frame=SHOTS[1].start_frame - 1)], "not from 125 on"),  # an overlap
        ([replace(SHOTS[0], end_frame=0), SHOTS[1]], "Shot 0"),  # empty
        (SHOTS[:1], "end at frame 125 of 250"),
        ([], "end at frame 0 of 250"),
    ],
)
def test_shots_that_do_not_tile(shots, says):
    with pytest.raises(CheckFailed, match=says) as caught:
        checks.shots_tile(VIDEO, shots)
    assert caught.value.check == checks.SHOTS_TILE


@pytest.mark.parametrize(
    "frames",
    [
        FRAMES[:5],  # the second shot has none
        [*FRAMES, replace(FRAMES[0], frame_index=249)],  # not in its shot
        [*FRAMES, replace(FRAMES[0], shot_index=9)],  # no such shot
    ],
)
def test_keyframes_that_do_not_stand_for_their_shots(frames):
    with pytest.raises(CheckFailed) as caught:
        checks.every_shot_has_a_keyframe(SHOTS, frames)
    assert caught.value.check == checks.EVERY_SHOT_HAS_A_KEYFRAME


@pytest.mark.parametrize(
    ("vectors", "check"),
    [
        (VECTORS[:-1], checks.ONE_VECTOR_A_KEYFRAME),
        (VECTORS.ravel(), checks.ONE_VECTOR_A_KEYFRAME),
        (VECTORS * 1.01, checks.FINITE_AND_UNIT),
        (np.where(np.arange(len(VECTORS))[:, None] == 3, np.nan, VECTORS), checks.FINITE_AND_UNIT),
        (np.zeros_like(VECTORS), checks.FINITE_AND_UNIT),
    ],
)
def test_vectors_that_no_index_may_hold(vectors, check):
    with pytest.raises(CheckFailed) as caught:
        checks.vectors_fit(FRAMES, vectors)
    assert caught.value.check == check


def test_no_keyframes_want_no_vectors():
    checks.vectors_fit([], np.zeros((0, 16), np.float32))


@pytest.mark.parametrize("indices", [[], [f.frame_index for f in FRAMES][::-1], [f.frame_index for f in FRAMES][1:]])
def test_notes_that_are_not_those_of_the_keyframes(indices):
    with pytest.raises(CheckFailed):
        checks.notes_fit(FRAMES, indices)


def test_a_shard_is_held_against_the_ledger(tmp_path):
    sealed = seal_one(tmp_path, [make_input("a"), make_input("b")])
    checks.counts_agree(sealed, {"a": 10, "b": 10})
    checks.recall_is_high(sealed)
    for wrong in ({"a": 10}, {"a": 10, "b": 10, "c": 0}, {"a": 10, "b": 11}):
        with pytest.raises(CheckFailed):
            checks.counts_agree(sealed, wrong)
    for recall in (0.97, float("nan")):
        with pytest.raises(CheckFailed):
            checks.recall_is_high(replace(sealed, recall_at_10=recall))
