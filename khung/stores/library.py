"""The per-video files of the archive: their names and codecs in one place, and nothing else.

Everything before the seal is kept here, so that thresholds can be re-tuned and shards rebuilt without decoding a video again.
"""

import hashlib
import io
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from khung.errors import CorruptError, NotFound, StoreError
from khung.records import Description, Keyframe, Shot, TextLine, Video, check_video_id
from khung.stores import Archive, tables
from khung.stores.arrays import load_all
from khung.stores.packed import pack, unpack
from khung.stores.scratch import scratch_folder

IMAGE_TYPES = {
    "master.jpg": "image/jpeg",
    "display.webp": "image/webp",
    "display.avif": "image/avif",
    "thumb.webp": "image/webp",
}
"""The pictures of a keyframe and their media types."""

EMBEDDINGS, PREVIEW, EMBEDDINGS_BEGUN = "embeddings", "preview", "embeddings-begun"  # stems of the files with vectors
NOTES_BEGUN = "notes-begun"
_EXTENSION = re.compile(r"\.[a-z0-9]{1,8}")


@dataclass(frozen=True, slots=True)
class FrameNotes:
    """What the describer and the reader of text said of one frame."""

    frame_index: int
    description: Description
    screen_text: tuple[TextLine, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class StandIns:
    """Vectors of the frames that the embedder failed on, in the space of the model that stood in; the frames wait to be
    embedded again. `frames` int64 (n,) ascending, `vectors` (n, d), `reasons`: why the embedder failed, one a frame."""

    fingerprint: str
    frames: np.ndarray
    vectors: np.ndarray
    reasons: tuple[str, ...]


def image_key(video_id: str, frame_index: int, variant: str) -> str:
    """The archive key of a keyframe's picture; `variant` is one of IMAGE_TYPES. Raises NotFound."""
    if variant not in IMAGE_TYPES:
        raise NotFound(f"There is no picture “{variant[:40]}”; there are {', '.join(IMAGE_TYPES)}.")
    return f"frames/{video_id}/{frame_index:08d}/{variant}"


def sheet_key(video_id: str) -> str:
    """The archive key of a video's contact sheet."""
    return f"videos/{video_id}/sheet.webp"


def playable_key(video_id: str) -> str:
    """The archive key of the copy that browsers play: derived from the media, and made again from them."""
    return f"playable/{video_id}.mp4"


class Library:
    """Typed access to an Archive. Every getter raises NotFound for what was not put, CorruptError for what cannot be read."""

    image_key = staticmethod(image_key)
    sheet_key = staticmethod(sheet_key)

    def __init__(self, archive: Archive) -> None:
        self.archive = archive

    # -- the video itself

    def put_video(self, video: Video) -> None:
        self._put(check_video_id(video.video_id), "video.json", tables.to_json(video), "application/json")

    def video(self, video_id: str) -> Video:
        return tables.from_json(self._get(video_id, "video.json"), Video)

    def video_ids(self) -> list[str]:
        parts = (key.split("/") for key in self.archive.keys("videos/"))
        return sorted(p[1] for p in parts if p[2:] == ["video.json"])

    def put_media(self, video_id: str, path: Path) -> str:
        """Copies the file in and returns its key."""
        extension = path.suffix.lower() if _EXTENSION.fullmatch(path.suffix.lower()) else ".bin"
        key = f"media/{check_video_id(video_id)}{extension}"
        self.archive.put_file(key, path)
        return key

    def put_playable(self, video_id: str, path: Path) -> str:
        """Copies the playable copy in and returns its key."""
        self.archive.put_file(playable_key(check_video_id(video_id)), path, content_type="video/mp4")
        return playable_key(video_id)

    def delete_video(self, video_id: str) -> None:
        """Every trace of the video in the archive."""
        check_video_id(video_id)
        for prefix in (f"media/{video_id}.", playable_key(video_id), f"frames/{video_id}/", f"videos/{video_id}/"):
            for key in list(self.archive.keys(prefix)):
                self.archive.delete(key)

    # -- shots and keyframes

    def put_signals(self, video_id: str, signals: Mapping[str, np.ndarray]) -> None:
        self._put_arrays(video_id, "signals.npz", signals)

    def signals(self, video_id: str) -> dict[str, np.ndarray]:
        return self._arrays(video_id, "signals.npz")

    def put_candidates(self, video_id: str, folder: Path) -> None:
        """The plain files of a folder, as one zip."""
        with scratch_folder("packed") as aside:
            pack(folder, aside / "candidates.zip")
            key = f"videos/{check_video_id(video_id)}/candidates.zip"
            self.archive.put_file(key, aside / "candidates.zip", content_type="application/zip")  # may be gigabytes

    @contextmanager
    def candidates_dir(self, video_id: str) -> Iterator[Path]:
        """`with library.candidates_dir(id) as folder:` the files that were put, read-only, until the block ends."""
        packed = self.archive.local_path(f"videos/{video_id}/candidates.zip")
        with scratch_folder("candidates") as folder:
            unpack(packed, folder)
            yield folder

    def put_shots(self, video_id: str, shots: Sequence[Shot]) -> None:
        self._put(video_id, "shots.parquet", tables.to_parquet(shots, Shot))

    def shots(self, video_id: str) -> list[Shot]:
        return tables.from_parquet(self._get(video_id, "shots.parquet"), Shot)

    def put_keyframes(self, video_id: str, keyframes: Sequence[Keyframe]) -> None:
        self._put(video_id, "keyframes.parquet", tables.to_parquet(keyframes, Keyframe))

    def keyframes(self, video_id: str) -> list[Keyframe]:
        return tables.from_parquet(self._get(video_id, "keyframes.parquet"), Keyframe)

    def put_image(self, video_id: str, frame_index: int, variant: str, data: bytes) -> str:
        key = image_key(check_video_id(video_id), frame_index, variant)
        self.archive.put_bytes(key, data, content_type=IMAGE_TYPES[variant])
        return key

    def put_sheet(self, video_id: str, data: bytes) -> str:
        self.archive.put_bytes(sheet_key(check_video_id(video_id)), data, content_type="image/webp")
        return sheet_key(video_id)

    # -- what the models gave

    def put_embeddings(
        self,
        video_id: str,
        fingerprint: str,
        frame_indices: Sequence[int] | np.ndarray,
        vectors: np.ndarray,
        stem: str = EMBEDDINGS,
    ) -> None:
        """`frame_indices` (n,) and `vectors` (n, d), one row a frame. Raises StoreError when they do not fit together."""
        frames, rows = np.asarray(frame_indices, np.int64), np.asarray(vectors, np.float32)
        if frames.ndim != 1 or rows.ndim != 2 or len(frames) != len(rows) or not np.isfinite(rows).all():
            raise StoreError(f"{video_id}: {rows.shape} vectors for {frames.shape} frames, or not all finite.")
        self._put_arrays(video_id, _by_model(stem, fingerprint, "npz"), {"frames": frames, "vectors": rows})

    def embeddings(self, video_id: str, fingerprint: str, stem: str = EMBEDDINGS) -> tuple[np.ndarray, np.ndarray]:
        """Frame indices int64 (n,) and vectors float32 (n, d)."""
        arrays = self._arrays(video_id, _by_model(stem, fingerprint, "npz"))
        return arrays["frames"], arrays["vectors"]

    def put_stand_ins(self, video_id: str, fingerprint: str, stand_ins: StandIns | None) -> None:
        """What stands in for vectors of `fingerprint`; None takes away what stood in before."""
        name = _by_model("stand-ins", fingerprint, "npz")
        if stand_ins is None:
            return self.archive.delete(f"videos/{check_video_id(video_id)}/{name}")
        held = {"frames": stand_ins.frames.astype(np.int64), "vectors": stand_ins.vectors.astype(np.float32)}
        words = {"fingerprint": np.array(stand_ins.fingerprint), "reasons": np.array(stand_ins.reasons, np.str_)}
        self._put_arrays(video_id, name, held | words)

    def stand_ins(self, video_id: str, fingerprint: str) -> StandIns | None:
        """None when every frame has its vector of `fingerprint`."""
        try:
            held = self._arrays(video_id, _by_model("stand-ins", fingerprint, "npz"))
        except NotFound:
            return None
        reasons = tuple(map(str, held["reasons"]))
        return StandIns(str(held["fingerprint"]), held["frames"], held["vectors"], reasons)

    def put_preview(
        self, video_id: str, fingerprint: str, frame_indices: Sequence[int] | np.ndarray, vectors: np.ndarray
    ) -> None:
        """As `put_embeddings`, of the part of the keyframes that makes a preview."""
        self.put_embeddings(video_id, fingerprint, frame_indices, vectors, stem=PREVIEW)

    def preview(self, video_id: str, fingerprint: str) -> tuple[np.ndarray, np.ndarray]:
        return self.embeddings(video_id, fingerprint, stem=PREVIEW)

    def delete_embeddings(self, video_id: str, fingerprint: str, stem: str) -> None:
        name = _by_model(stem, fingerprint, "npz")
        self.archive.delete(f"videos/{check_video_id(video_id)}/{name}")

    def put_notes(self, video_id: str, fingerprint: str, notes: Sequence[FrameNotes]) -> None:
        self._put(video_id, _by_model("notes", fingerprint, "parquet"), tables.to_parquet(notes, FrameNotes))

    def notes(self, video_id: str, fingerprint: str) -> list[FrameNotes]:
        return tables.from_parquet(self._get(video_id, _by_model("notes", fingerprint, "parquet")), FrameNotes)

    def put_begun(self, video_id: str, fingerprint: str, frames: str, notes: Sequence[FrameNotes]) -> None:
        """The notes that are whole, of a video whose others are still to be made or made again. `frames` names its keyframes."""
        held = np.frombuffer(tables.to_parquet(notes, FrameNotes), np.uint8)
        self._put_arrays(
            video_id, _by_model(NOTES_BEGUN, fingerprint, "npz"), {"frames": np.array(frames), "notes": held}
        )

    def begun(self, video_id: str, fingerprint: str, frames: str) -> list[FrameNotes] | None:
        """None when nothing was begun, or over other keyframes."""
        try:
            held = self._arrays(video_id, _by_model(NOTES_BEGUN, fingerprint, "npz"))
        except NotFound:
            return None
        return tables.from_parquet(held["notes"].tobytes(), FrameNotes) if str(held["frames"]) == frames else None

    def delete_begun(self, video_id: str, fingerprint: str) -> None:
        self.archive.delete(f"videos/{check_video_id(video_id)}/{_by_model(NOTES_BEGUN, fingerprint, 'npz')}")

    # -- bytes

    def _put(self, video_id: str, name: str, data: bytes, content_type: str = "application/octet-stream") -> None:
        self.archive.put_bytes(f"videos/{check_video_id(video_id)}/{name}", data, content_type=content_type)

    def _get(self, video_id: str, name: str) -> bytes:
        return self.archive.get_bytes(f"videos/{video_id}/{name}")

    def _put_arrays(self, video_id: str, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        out = io.BytesIO()
        np.savez(out, **arrays)
        self._put(video_id, name, out.getvalue())

    def _arrays(self, video_id: str, name: str) -> dict[str, np.ndarray]:
        return _decode(f"{video_id}/{name}", lambda data: load_all(io.BytesIO(data)), self._get(video_id, name))


def _by_model(stem: str, fingerprint: str, extension: str) -> str:
    return f"{stem}-{hashlib.sha256(fingerprint.encode()).hexdigest()[:16]}.{extension}"


def _decode(name: str, load: Callable[[bytes], dict[str, np.ndarray]], data: bytes) -> dict[str, np.ndarray]:
    try:
        return load(data)
    except (ValueError, EOFError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise CorruptError(f"{name} cannot be read: {error}.", cure="Run its stage again.") from error
