"""What the models say of the keyframes: vectors, and descriptions with the on-screen text.

Two assets, because they are run again for different reasons and a video can be found by its vectors before it is described.
Each loads its model once a run, for all the videos of the run.
"""

from collections.abc import Iterator, Sequence

import dagster as dg
import numpy as np

from assets.batch import Outcome, each_video, per_video
from assets.checks import notes_fit, vectors_fit
from assets.recipe import notes_fingerprint
from assets.versions import digest
from khung.records import Keyframe
from khung.stores import Ledger
from khung.stores.library import FrameNotes, Library
from khung.vision import Describer, Embedder, Image, TextReader

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
    frames = library.keyframes(video_id)
    parts = [embedder.embed_images(images) for images in _images(library, frames)]
    vectors = np.concatenate(parts) if parts else np.zeros((0, embedder.dim), np.float32)
    vectors_fit(frames, vectors)
    indices = [frame.frame_index for frame in frames]
    library.put_embeddings(video_id, embedder.fingerprint, indices, vectors)
    told = {"vectors": len(vectors), "dimensions": embedder.dim, "model": embedder.fingerprint}
    return Outcome(digest(embedder.fingerprint, indices, vectors.tobytes()), told)


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
    frames = library.keyframes(video_id)
    notes: list[FrameNotes] = []
    for images in _images(library, frames):
        part = frames[len(notes) : len(notes) + len(images)]
        told = zip(part, describer.describe(images), reader.read(images), strict=True)
        notes += [FrameNotes(frame.frame_index, said, text) for frame, said, text in told]
    notes_fit(frames, [note.frame_index for note in notes])
    fingerprint = notes_fingerprint(describer.fingerprint, reader.fingerprint)
    library.put_notes(video_id, fingerprint, notes)
    return Outcome(digest(fingerprint, notes), _told(frames, notes, describer, reader))


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
