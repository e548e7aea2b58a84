"""What the models say of the keyframes: vectors, and descriptions with the on-screen text.

Two assets, because they are run again for different reasons and a video can be found by its vectors before it is described.
Each loads its model once a run, for all the videos of the run. What a re-encoded copy shows is not asked again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import dagster as dg

from assets.batch import Outcome, each_video, per_video
from assets.checks import notes_fit
from assets.frames import borrowed, images_of
from assets.recipe import notes_fingerprint
from assets.vectors import embed_frames
from assets.versions import digest
from khung.records import Keyframe
from khung.stores import Ledger
from khung.stores.library import FrameNotes, Library
from khung.vision import Describer, Embedder, TextReader


@dg.multi_asset(**per_video("embeddings", kinds={"ai", "openvino"}, group="gme_outputs"))
def embeddings(
    context: dg.AssetExecutionContext,
    ledger: dg.ResourceParam[Ledger],
    library: dg.ResourceParam[Library],
    embedder: dg.ResourceParam[Embedder],
    fallback: dg.ResourceParam[Embedder | None],
) -> Iterator[dg.AssetCheckResult]:
    """A vector of unit length for each keyframe, in the space of the embedder that the fingerprint names. A frame that it fails
    on gets one in the fallback's own space, and waits to be embedded again."""
    yield from each_video(context, ledger, lambda video_id: embed_frames(video_id, library, embedder, fallback))


@dg.multi_asset(**per_video("descriptions", kinds={"ai", "openvino"}, group="gme_outputs"))
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
    told = [pair for i in images_of(library, fresh) for pair in zip(describer.describe(i), reader.read(i), strict=True)]
    made = {f.frame_index: FrameNotes(f.frame_index, *pair) for f, pair in zip(fresh, told, strict=True)}
    rows = made | {index: replace(note, frame_index=index) for index, note in known.items()}
    notes = [rows[frame.frame_index] for frame in frames]
    notes_fit(frames, [note.frame_index for note in notes])
    library.put_notes(video_id, fingerprint, notes)
    return Outcome(digest(fingerprint, notes), {"borrowed": len(known), **_told(frames, notes, describer, reader)})


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
