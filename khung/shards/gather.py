"""From the archive to the seal: everything that is known of one video, put together for its shard.

A video without notes is sealed with its vectors alone, so that it can be found before it is described; one that has a preview
alone is sealed with those of its keyframes, and says so.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from khung.errors import CorruptError, NotFound
from khung.records import FrameRecord, Keyframe, Shot
from khung.shards.manifest import SealedInput, SpaceVectors
from khung.stores.library import FrameNotes, Library


def gather(library: Library, video_id: str, *, embedder: str, notes: str, models: dict[str, str]) -> SealedInput:
    """`embedder` and `notes` are the fingerprints under which vectors and notes are kept, `models` what the records will name.

    Raises NotFound when there are no vectors of that fingerprint, CorruptError when they are not those of the keyframes.
    """
    keyframes = library.keyframes(video_id)
    vectors, others = _spaces(library, video_id, embedder, [keyframe.frame_index for keyframe in keyframes])
    shots = library.shots(video_id)
    told = _notes(library, video_id, notes)
    by = {int(frame): name for name, held in others.items() for frame in held.frames}
    records = [
        _record(k, shots, told.get(k.frame_index), models | {"embedder": by.get(k.frame_index, models["embedder"])})
        for k in keyframes
    ]
    return SealedInput(library.video(video_id), shots, records, vectors, others)


def _spaces(
    library: Library, video_id: str, embedder: str, wanted: Sequence[int]
) -> tuple[np.ndarray, dict[str, SpaceVectors]]:
    """A row a keyframe, of zeros where the embedder failed; and what stands in for it there."""
    try:
        frames, own = library.embeddings(video_id, embedder)
    except NotFound as error:
        raise NotFound(
            f"{video_id} has no vectors of {embedder}.",
            cure="After a change of the embedder, materialise `embeddings` of every video: docs/how-to/gpu.md.",
        ) from error
    stand_ins = library.stand_ins(video_id, embedder)
    theirs = stand_ins.frames.tolist() if stand_ins else []
    if sorted([*frames.tolist(), *theirs]) != sorted(wanted):
        raise CorruptError(
            f"{video_id} has {len(wanted)} keyframes and vectors of {len(frames) + len(theirs)} frames.",
            cure="Embed it again.",
        )
    at = {frame: row for row, frame in enumerate(wanted)}
    vectors = np.zeros((len(wanted), own.shape[1]), np.float32)
    vectors[[at[frame] for frame in frames.tolist()]] = own
    return vectors, {stand_ins.fingerprint: SpaceVectors(stand_ins.frames, stand_ins.vectors)} if stand_ins else {}


def gather_preview(library: Library, video_id: str, *, embedder: str) -> SealedInput:
    """The part of a video's keyframes that has vectors already; the frame ids are those of the whole. Raises as `gather`."""
    frames, vectors = library.preview(video_id, embedder)
    there = {keyframe.frame_index: keyframe for keyframe in library.keyframes(video_id)}
    if not there.keys() >= set(frames.tolist()):
        raise CorruptError(f"The preview of {video_id} has frames that are no keyframes.", cure="Make it again.")
    shots = library.shots(video_id)
    records = [_record(there[index], shots, None, {"embedder": embedder}) for index in frames.tolist()]
    return SealedInput(replace(library.video(video_id), preview=True), shots, records, vectors)


def _notes(library: Library, video_id: str, fingerprint: str) -> dict[int, FrameNotes]:
    try:
        return {note.frame_index: note for note in library.notes(video_id, fingerprint)}
    except NotFound:
        return {}


def _record(keyframe: Keyframe, shots: Sequence[Shot], note: FrameNotes | None, models: dict[str, str]) -> FrameRecord:
    shot = shots[keyframe.shot_index]
    times = {"shot_start_ms": shot.start_ms, "shot_end_ms": shot.end_ms}
    if note is None:
        return FrameRecord(keyframe, **times, models={"embedder": models["embedder"]})
    return FrameRecord(keyframe, **times, description=note.description, screen_text=note.screen_text, models=models)
