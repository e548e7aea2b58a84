"""From the archive to the seal: everything that is known of one video, put together for its shard.

A video without notes is sealed with its vectors alone, so that it can be found before it is described.
"""

from collections.abc import Sequence

from khung.errors import CorruptError, NotFound
from khung.records import FrameRecord, Keyframe, Shot
from khung.shards.writer import SealedInput
from khung.stores.library import FrameNotes, Library


def gather(library: Library, video_id: str, *, embedder: str, notes: str, models: dict[str, str]) -> SealedInput:
    """`embedder` and `notes` are the fingerprints under which vectors and notes are kept, `models` what the records will name.

    Raises NotFound when there are no vectors of that fingerprint, CorruptError when they are not those of the keyframes.
    """
    keyframes = library.keyframes(video_id)
    frames, vectors = library.embeddings(video_id, embedder)
    if frames.tolist() != [keyframe.frame_index for keyframe in keyframes]:
        raise CorruptError(
            f"{video_id} has {len(keyframes)} keyframes and vectors of {len(frames)} frames.", cure="Embed it again."
        )
    shots = library.shots(video_id)
    told = _notes(library, video_id, notes)
    records = [_record(keyframe, shots, told.get(keyframe.frame_index), models) for keyframe in keyframes]
    return SealedInput(library.video(video_id), shots, records, vectors)


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
