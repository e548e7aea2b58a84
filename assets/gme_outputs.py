"""What the models say of the keyframes: vectors, and descriptions with the on-screen text.

Two assets, because they are run again for different reasons and a video can be found by its vectors before it is described.
Each loads its model once a run, for all the videos of the run. What a re-encoded copy shows is not asked again.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import dagster as dg
import numpy as np

from assets.batch import Outcome, each_video, per_video
from assets.checks import notes_fit, vectors_fit
from assets.recipe import notes_fingerprint
from assets.versions import digest
from khung.errors import NotFound
from khung.records import Keyframe
from khung.stores import Ledger
from khung.stores.library import FrameNotes, Library
from khung.video.copies import same_frames
from khung.vision import Describer, Embedder, Image, TextReader

T = TypeVar("T")

IMAGES_AT_ONCE = 64
"""Decoded masters in memory: 64 × 6 MB at 1080p. The models make their own batches of them."""


@dg.multi_asset(**per_video("embeddings", kinds={"ai", "openvino"}, group="gme_outputs", pool="models"))
def embeddings(
    context: dg.AssetExecutionContext,
    ledger: dg.ResourceParam[Ledger],
    library: dg.ResourceParam[Library],
    embedder: dg.ResourceParam[Embedder],
) -> Iterator[dg.AssetCheckResult]:
    """A vector of unit length for each keyframe, in the space of the embedder that the fingerprint names."""
    yield from each_video(context, ledger, lambda video_id: embed_frames(video_id, library, embedder))


def embed_frames(video_id: str, library: Library, embedder: Embedder) -> Outcome:
    frames, fingerprint = library.keyframes(video_id), embedder.fingerprint
    known = borrowed(video_id, frames, library, lambda v: dict(zip(*library.embeddings(v, fingerprint), strict=True)))
    fresh = [frame for frame in frames if frame.frame_index not in known]
    made = [vector for images in _images(library, fresh) for vector in embedder.embed_images(images)]
    rows = known | dict(zip((frame.frame_index for frame in fresh), made, strict=True))
    indices = [frame.frame_index for frame in frames]
    vectors = np.array([rows[index] for index in indices], np.float32).reshape(-1, embedder.dim)
    vectors_fit(frames, vectors)
    library.put_embeddings(video_id, fingerprint, indices, vectors)
    told = {"vectors": len(vectors), "borrowed": len(known), "dimensions": embedder.dim, "model": fingerprint}
    return Outcome(digest(fingerprint, indices, vectors.tobytes()), told)


@dg.multi_asset(**per_video("descriptions", kinds={"ai", "openvino"}, group="gme_outputs", pool="models"))
def descriptions(
    context: dg.AssetExecutionContext,
    ledger: dg.ResourceParam[Ledger],
    library: dg.ResourceParam[Library],
    describer: dg.ResourceParam[Describer],
    reader: dg.ResourceParam[TextReader],
) -> Iterator[dg.AssetCheckResult]:
    """What each keyframe shows, in Vietnamese and English, its structured fields and the text on the screen."""
    yield from each_video(context, ledger, lambda video_id: describe_frames(video_id, library, describer, reader))


def describe_frames(video_id: str, library: Library, describer: Describer, reader: TextReader) -> Outcome:
    frames, fingerprint = library.keyframes(video_id), notes_fingerprint(describer.fingerprint, reader.fingerprint)
    known = borrowed(video_id, frames, library, lambda v: {n.frame_index: n for n in library.notes(v, fingerprint)})
    fresh = [frame for frame in frames if frame.frame_index not in known]
    told = [pair for i in _images(library, fresh) for pair in zip(describer.describe(i), reader.read(i), strict=True)]
    made = {f.frame_index: FrameNotes(f.frame_index, *pair) for f, pair in zip(fresh, told, strict=True)}
    rows = made | {index: replace(note, frame_index=index) for index, note in known.items()}
    notes = [rows[frame.frame_index] for frame in frames]
    notes_fit(frames, [note.frame_index for note in notes])
    library.put_notes(video_id, fingerprint, notes)
    return Outcome(digest(fingerprint, notes), {"borrowed": len(known), **_told(frames, notes, describer, reader)})


def borrowed(
    video_id: str, frames: Sequence[Keyframe], library: Library, results_of: Callable[[str], Mapping[int, T]]
) -> dict[int, T]:
    """Our frame index → what the model said of the same frame in the video that this one is a copy of.

    `results_of` gives a video's results by frame index, or raises NotFound: then nothing is borrowed.
    """
    video = library.video(video_id)
    if not video.derived_from:
        return {}
    try:
        theirs, keyframes = results_of(video.derived_from), library.keyframes(video.derived_from)
    except NotFound:
        return {}
    same = same_frames(frames, keyframes, video.derived_offset_ms)
    return {ours: theirs[index] for ours, index in same.items() if index in theirs}


def _images(library: Library, frames: Sequence[Keyframe]) -> Iterator[list[Image]]:
    """The masters of the frames as RGB arrays, some at a time."""
    import cv2

    for start in range(0, len(frames), IMAGES_AT_ONCE):
        keys = [
            library.image_key(f.video_id, f.frame_index, "master.jpg") for f in frames[start : start + IMAGES_AT_ONCE]
        ]
        stored = (np.frombuffer(library.archive.get_bytes(key), np.uint8) for key in keys)
        yield [cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB) for data in stored]


def _told(
    frames: Sequence[Keyframe], notes: Sequence[FrameNotes], describer: Describer, reader: TextReader
) -> dict[str, object]:
    rows = [
        f"| {frame.frame_index} | {_cell(note.description.captions.get('vi', ''))} | {_cell(note.description.captions.get('en', ''))} "
        f"| {_cell(' / '.join(line.text for line in note.screen_text))} |"
        for frame, note in zip(frames, notes, strict=True)
    ][:: max(1, len(notes) // 12)]
    table = "\n".join(["| frame | vi | en | on the screen |", "|---|---|---|---|", *rows])
    return {
        "samples": dg.MetadataValue.md(table),
        "descriptions": len(notes),
        "with_text": sum(bool(note.screen_text) for note in notes),
        "describer": describer.fingerprint,
        "reader": reader.fingerprint,
    }


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
