"""The notes of one video: what the describer and the reader of text said of each keyframe.

A frame that one of them fails on does not cost the others theirs: it stays without, is named in the ledger and in the metadata, and is
asked again when the stage is run for its video again. Only when nothing but failures comes, the video fails.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import dagster as dg

from assets.batch import Outcome
from assets.checks import notes_fit
from assets.failures import in_a_row
from assets.frames import borrowed, images_of
from assets.recipe import notes_fingerprint
from assets.strain import strain_of, told_of
from assets.versions import digest
from khung.errors import ModelError
from khung.records import Description, Keyframe
from khung.stores.library import FrameNotes, Library
from khung.timecode import format_ms
from khung.vision import Describer, TextReader
from khung.vision.each import each

PART_DESCRIBED = "part_described"
"""The ledger's reason for a video that is done but has frames without a description or without their text."""

PATIENCE = 8
"""Failures at the beginning of a video after which it is not the frames."""


def describe_frames(video_id: str, library: Library, describer: Describer, reader: TextReader) -> Outcome:
    frames, fingerprint = library.keyframes(video_id), notes_fingerprint(describer.fingerprint, reader.fingerprint)
    known = borrowed(video_id, frames, library, lambda v: {n.frame_index: n for n in library.notes(v, fingerprint)})
    strained, made = strain_of(describer), _Made()
    made.notes |= {index: replace(note, frame_index=index) for index, note in known.items()}
    made.look_at([frame for frame in frames if frame.frame_index not in known], library, describer, reader)
    notes = [made.notes[frame.frame_index] for frame in frames]
    notes_fit(frames, [note.frame_index for note in notes])
    library.put_notes(video_id, fingerprint, notes)
    told = _told(frames, notes, describer, reader) | made.said()
    told |= {"borrowed": len(known), **told_of(strain_of(describer) - strained)}
    return Outcome(digest(fingerprint, notes), told, *made.reason(len(frames)))


@dataclass
class _Made:
    """Notes by frame index, and what is missing from them."""

    notes: dict[int, FrameNotes] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)

    def look_at(self, frames: Sequence[Keyframe], library: Library, describer: Describer, reader: TextReader) -> None:
        for part, images in _with_images(frames, library):
            said = each(images, describer.describe, patience=PATIENCE)
            read = each(images, reader.read, patience=PATIENCE)
            for frame, description, lines in zip(part, said, read, strict=True):
                self._take(frame.frame_index, description, lines)

    def _take(self, index: int, description: Description | ModelError, lines: tuple | ModelError) -> None:
        for found in (lines, description):  # of two reasons, the describer's
            if isinstance(found, ModelError):
                self.failures[index] = found.message
        self.notes[index] = FrameNotes(
            index,
            Description() if isinstance(description, ModelError) else description,
            () if isinstance(lines, ModelError) else lines,
        )

    def said(self) -> dict[str, str]:
        named = [f"{index}: {why}" for index, why in self.failures.items()]
        return {"without_notes": "; ".join(named[:20]) + (" …" if len(named) > 20 else "")} if named else {}

    def reason(self, frames: int) -> tuple[str, str]:
        """For the ledger and `khung status`."""
        if not self.failures:
            return "", ""
        index, why = next(iter(self.failures.items()))
        return PART_DESCRIBED, (
            f"{len(self.failures)} of {frames} frames lack a description or their text, first {index}: {why} "
            "Materialise `descriptions` of the video to ask again."
        )


def _with_images(frames: Sequence[Keyframe], library: Library) -> Iterator[tuple[Sequence[Keyframe], list]]:
    at = 0
    for images in images_of(library, frames):
        yield frames[at : at + len(images)], images
        at += len(images)


def _told(
    frames: Sequence[Keyframe], notes: Sequence[FrameNotes], describer: Describer, reader: TextReader
) -> dict[str, object]:
    rows = [
        f"| {format_ms(frame.pts_ms)} | {frame.frame_index} | {in_a_row(note.description.captions.get('vi', ''))} "
        f"| {in_a_row(note.description.captions.get('en', ''))} | {in_a_row(' / '.join(line.text for line in note.screen_text))} |"
        for frame, note in zip(frames, notes, strict=True)
    ][:: max(1, len(notes) // 12)]
    table = "\n".join(["| time | frame | vi | en | on the screen |", "|---|---|---|---|---|", *rows])
    return {
        "samples": dg.MetadataValue.md(table),
        "descriptions": len(notes),
        "with_text": sum(bool(note.screen_text) for note in notes),
        "describer": describer.fingerprint,
        "reader": reader.fingerprint,
    }
