"""The notes of one video: what the describer and the reader of text said of each keyframe.

A frame that one of them fails on does not cost the others theirs: it stays without, is named in the ledger and in the metadata, and is
asked again when the stage is run for its video again: only it, while the recipe and the keyframes are the same. A copy of another video
borrows its descriptions, but not its text: subtitles and banners make no other frame to whoever finds copies. Only when nothing but failures comes,
the video fails. What a run has made is kept every minute, and the next one goes on from there.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import dagster as dg

from assets.batch import Outcome
from assets.checks import notes_fit
from assets.failures import in_a_row, kept_if_broken_off
from assets.frames import borrowed, images_of
from assets.recipe import notes_fingerprint
from assets.strain import strain_of, told_of
from assets.versions import digest
from khung.errors import ModelError
from khung.records import Description, Keyframe
from khung.stores import LedgerEntry
from khung.stores.library import FrameNotes, Library
from khung.timecode import format_ms
from khung.vision import Describer, TextReader
from khung.vision.each import each

PART_DESCRIBED = "part_described"
"""The ledger's reason for a video that is done but has frames without a description or without their text."""

PATIENCE = 8
"""Failures at the beginning of a video after which it is not the frames."""

KEPT_EVERY_S = 60.0
"""A large describer needs two hours for a video of one."""


def describe_frames(video_id: str, library: Library, describer: Describer, reader: TextReader) -> Outcome:
    frames, fingerprint = library.keyframes(video_id), notes_fingerprint(describer.fingerprint, reader.fingerprint)
    known = borrowed(video_id, frames, library, lambda v: _whole(v, library, fingerprint))
    described = {index: note.description for index, note in known.items()}
    begun = {note.frame_index: note for note in library.begun(video_id, fingerprint, digest(frames)) or ()}
    strained, made = strain_of(describer), _Made()
    made.notes |= begun
    todo = [frame for frame in frames if frame.frame_index not in made.notes]
    draft = _Draft(video_id, library, fingerprint, frames, made, kept=len(begun))
    with kept_if_broken_off(draft.keep):
        made.look_at(todo, described, library, describer, reader, draft.keep_now_and_then)
    draft.keep()
    notes = [made.notes[frame.frame_index] for frame in frames]
    notes_fit(frames, [note.frame_index for note in notes])
    library.put_notes(video_id, fingerprint, notes)
    if not made.failures:
        draft.forget()
    told = _told(frames, notes, describer, reader) | made.said()
    told |= {"borrowed": len(known), "kept_from_before": len(begun), **told_of(strain_of(describer) - strained)}
    return Outcome(digest(fingerprint, list(map(_in_order, notes))), told, *made.reason(len(frames)))


def part_described(entries: Sequence[LedgerEntry]) -> list[str]:
    """The videos, of the entries of `descriptions`, that have frames to describe again."""
    return sorted(entry.video_id for entry in entries if entry.state == "done" and entry.reason == PART_DESCRIBED)


def _whole(video_id: str, library: Library, fingerprint: str) -> dict[int, FrameNotes]:
    """The notes of a video by frame index, without those of frames that were failed on. Raises NotFound."""
    notes = library.notes(video_id, fingerprint)
    begun = library.begun(video_id, fingerprint, digest(library.keyframes(video_id)))
    return {note.frame_index: note for note in (notes if begun is None else begun)}


def _in_order(note: FrameNotes) -> FrameNotes:
    """With the languages in the order of the alphabet, as notes come back from the library: the same notes have one digest."""
    captions = dict(sorted(note.description.captions.items()))
    return replace(note, description=replace(note.description, captions=captions))


@dataclass
class _Made:
    """Notes by frame index, and what is missing from them."""

    notes: dict[int, FrameNotes] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)

    def look_at(
        self,
        frames: Sequence[Keyframe],
        described: Mapping[int, Description],
        library: Library,
        describer: Describer,
        reader: TextReader,
        after_each: Callable[[], None],
    ) -> None:
        """Read the frames, and describe those that are not among `described`."""
        for part, images in _with_images(frames, library):
            patience = 0 if self.whole() else PATIENCE
            new = [image for frame, image in zip(part, images, strict=True) if frame.frame_index not in described]
            said = iter(each(new, describer.describe, patience=patience))
            read = each(images, reader.read, patience=patience)
            for frame, lines in zip(part, read, strict=True):
                index = frame.frame_index
                self._take(index, described[index] if index in described else next(said), lines)
            after_each()

    def whole(self) -> list[FrameNotes]:
        """Those that need not be asked for again."""
        return [note for index, note in sorted(self.notes.items()) if index not in self.failures]

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
            "They are asked for again at night, or by `describe_again_job`."
        )


@dataclass
class _Draft:
    """What has been made of a video so far, in the library: for the run after one that broke off, and for the frames that were failed on.

    Who makes all of a video within a minute leaves none."""

    video_id: str
    library: Library
    fingerprint: str
    frames: Sequence[Keyframe]
    made: _Made
    kept: int  # so many notes are there already
    kept_at: float = field(default_factory=time.monotonic)

    def keep_now_and_then(self) -> None:
        if time.monotonic() - self.kept_at >= KEPT_EVERY_S:
            self.keep()

    def keep(self) -> None:
        whole = self.made.whole()
        if self.kept < len(whole) < len(self.frames) or self.made.failures:
            self.library.put_begun(self.video_id, self.fingerprint, digest(self.frames), whole)
            self.kept, self.kept_at = len(whole), time.monotonic()

    def forget(self) -> None:
        if self.kept or self.library.begun(self.video_id, self.fingerprint, digest(self.frames)) is not None:
            self.library.delete_begun(self.video_id, self.fingerprint)


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
