"""What must hold of each result before anything builds on it.

A video that breaks a rule fails at that stage, so that a bad result is never sealed; the stage's asset check in the UI names
it. A shard that breaks one never becomes the newest seal. A snapshot is asked canary questions before the pointer moves.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from khung.errors import KhungError
from khung.records import Keyframe, Shot, Video
from khung.shards.manifest import ShardManifest

SHOTS_TILE = "shots_tile"
EVERY_SHOT_HAS_A_KEYFRAME = "every_shot_has_a_keyframe"
FINITE_AND_UNIT = "vectors_finite_and_unit"
ONE_VECTOR_A_KEYFRAME = "one_vector_a_keyframe"
ONE_NOTE_A_KEYFRAME = "one_note_a_keyframe"
RECALL = "recall_at_10"
COUNTS_AGREE = "counts_agree"
MIN_RECALL = 0.98

CHECKS = {
    "shots": {SHOTS_TILE: "The shots of each video cover all its frames, without a gap or an overlap."},
    "keyframes": {EVERY_SHOT_HAS_A_KEYFRAME: "Every shot has a keyframe, and every keyframe lies in its shot."},
    "embeddings": {
        FINITE_AND_UNIT: "Every vector is finite and of unit length.",
        ONE_VECTOR_A_KEYFRAME: "There is one vector for each keyframe, in its model's space, in their order.",
    },
    "descriptions": {ONE_NOTE_A_KEYFRAME: "There is one description for each keyframe, in their order."},
    "shard_indices": {
        RECALL: f"The index finds at least {MIN_RECALL:.0%} of the ten best that an exact search finds.",
        COUNTS_AGREE: "A shard holds its videos, and as many frames as they have keyframes.",
    },
}
"""Stage → check → what it promises."""

UNIT_TOLERANCE = 1e-3


class CheckFailed(KhungError):
    """A result breaks a rule of the house; `check` names it."""

    def __init__(self, check: str, message: str) -> None:
        super().__init__(message)
        self.check = check


def shots_tile(video: Video, shots: Sequence[Shot]) -> None:
    """The shots are `[0, a) [a, b) … [y, frame_count)`, none of them empty."""
    edges = [0, *(shot.end_frame for shot in shots)]
    for shot, start in zip(shots, edges, strict=False):
        if shot.start_frame != start or shot.end_frame <= shot.start_frame:
            raise CheckFailed(
                SHOTS_TILE, f"Shot {shot.shot_index} is [{shot.start_frame}, {shot.end_frame}), not from {start} on."
            )
    if edges[-1] != video.frame_count:
        raise CheckFailed(SHOTS_TILE, f"The shots end at frame {edges[-1]} of {video.frame_count}.")


def every_shot_has_a_keyframe(shots: Sequence[Shot], keyframes: Sequence[Keyframe]) -> None:
    by_index = {shot.shot_index: shot for shot in shots}
    for frame in keyframes:
        shot = by_index.get(frame.shot_index)
        if shot is None or not shot.start_frame <= frame.frame_index < shot.end_frame:
            raise CheckFailed(
                EVERY_SHOT_HAS_A_KEYFRAME, f"Keyframe {frame.frame_index} is not in its shot {frame.shot_index}."
            )
    if missing := sorted(by_index.keys() - {frame.shot_index for frame in keyframes}):
        raise CheckFailed(
            EVERY_SHOT_HAS_A_KEYFRAME, f"{len(missing)} shots have no keyframe, the first is {missing[0]}."
        )


def vectors_fit(keyframes: Sequence[Keyframe], vectors: np.ndarray, others: np.ndarray | None = None) -> None:
    """`vectors` `(n, dim)`, `others` in another model's space: one a keyframe, finite, of unit length within 1e-3."""
    spaces = [vectors] if others is None else [vectors, others]
    if any(space.ndim != 2 for space in spaces) or sum(map(len, spaces)) != len(keyframes):
        shapes = " and ".join(str(space.shape) for space in spaces)
        raise CheckFailed(ONE_VECTOR_A_KEYFRAME, f"{shapes} vectors for {len(keyframes)} keyframes.")
    lengths = np.concatenate([np.linalg.norm(space.astype(np.float64), axis=1) for space in spaces])
    wrong = ~(np.abs(lengths - 1) <= UNIT_TOLERANCE)  # also true for NaN
    if wrong.any():
        first = int(np.argmax(wrong))
        raise CheckFailed(
            FINITE_AND_UNIT, f"{int(wrong.sum())} vectors are not of unit length, the first has {lengths[first]}."
        )


def notes_fit(keyframes: Sequence[Keyframe], frame_indices: Sequence[int]) -> None:
    if [frame.frame_index for frame in keyframes] != list(frame_indices):
        raise CheckFailed(
            ONE_NOTE_A_KEYFRAME,
            f"{len(frame_indices)} descriptions for {len(keyframes)} keyframes, or in another order.",
        )


def recall_is_high(sealed: ShardManifest) -> None:
    if not sealed.recall_at_10 >= MIN_RECALL:
        raise CheckFailed(
            RECALL, f"Shard {sealed.shard_id} has recall@10 {sealed.recall_at_10:.3f}, below {MIN_RECALL}."
        )


def counts_agree(sealed: ShardManifest, keyframes: Mapping[str, int]) -> None:
    """`keyframes`: how many each video of the shard has."""
    if sealed.videos.keys() != keyframes.keys():
        wrong = sorted(sealed.videos.keys() ^ keyframes.keys())
        raise CheckFailed(COUNTS_AGREE, f"Shard {sealed.shard_id} and the ledger differ on {', '.join(wrong[:5])}.")
    if sealed.frames != sum(keyframes.values()):
        raise CheckFailed(
            COUNTS_AGREE, f"Shard {sealed.shard_id} holds {sealed.frames} frames of {sum(keyframes.values())}."
        )
