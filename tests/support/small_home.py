"""A whole khung home from the repository's clips in seconds: real media, real pictures, sealed shards, a published snapshot.

Captions are written here by hand and the encoder knows nothing but colours, so no model is needed and every answer can be
told beforehand. Captions, on-screen text and a file name carry what an attacker would write.
"""

import io
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from khung.records import Description, FrameRecord, Keyframe, Region, Shot, TextLine, Video
from khung.search.scale import measure
from khung.settings import MediaLimits, Settings
from khung.shards.manifest import SealedInput, shard_of
from khung.shards.snapshot import Snapshot, publish
from khung.shards.writer import seal
from khung.stores import STAGES, LedgerEntry
from khung.stores.archive_local import LocalArchive
from khung.stores.ledger_sqlite import SqliteLedger
from khung.stores.library import Library
from khung.text import fold
from khung.video.playable import playable_copy, plays

BOX = (0.1, 0.1, 0.5, 0.9)
SHARDS = 2
ATTACK = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
ATTACK_NAME = "Phố “cổ” <b>&amp; 'x' \"y\" {{7*7}}.mp4"

# (from second, Vietnamese, English, objects, on the screen, facets), each until the next
SCENES = {
    "googlework_short": [
        (0, "Người đi bộ trên phố, có toà nhà cổ.", "People walk on a street with old buildings.", ("person",), "", {"place": "outdoor", "scene_type": "street"}),
        (11, "Tấm biển đen của Google trên tường.", "A black Google sign on a wall.", (), "Google", {"colors": ("black",)}),
        (13, "Biển tên phố trên tường.", "A street name plate on a wall.", (), "RUE DE LONDRES", {}),
        (15, "Một người đi bộ trong ngõ nhỏ.", "A person walks in an alley.", ("person", "bicycle"), "", {"place": "outdoor", "scene_type": "street"}),
        (19, "Nhóm người ngồi trong văn phòng.", "A group of people sits in an office.", ("person", "couch"), "", {"place": "indoor", "scene_type": "office", "emotions": ("happy",)}),
        (24, "Người đàn ông làm việc với máy tính trong văn phòng.", "A man works at a laptop in an office.", ("person", "laptop"), "", {"place": "indoor", "scene_type": "office"}),
        (28, f"Người đàn ông nói chuyện {ATTACK}", f"A man talks {ATTACK}", ("person",), ATTACK, {"place": "indoor"}),
    ],
    "cockatoo_cc0": [(0, "Con vẹt trắng trên sàn nhà.", "A white cockatoo on the floor.", ("bird",), "", {"place": "indoor", "colors": ("white",)})],
    "nasa_13013": [(0, "Một người cạnh cỗ máy trong phòng tối.", "A person beside a machine in a dark hall.", ("person",), "NASA", {"place": "indoor"})],
    "old_clip": [(0, "Hình xám.", "A grey picture.", (), "", {})],
}  # fmt: skip
NAMES = {"nasa_13013": ATTACK_NAME}

COLOURS = {"do": (200, 30, 30), "red": (200, 30, 30), "trang": (235, 235, 235), "white": (235, 235, 235), "den": (16, 16, 16), "black": (16, 16, 16)}  # fmt: skip


class ColourEmbedder:
    """Pictures by their histogram of 64 colours, texts by the colours that they name."""

    fingerprint = "colours-1"
    dim = 64

    def embed_images(self, images: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack([_unit(_histogram(image.reshape(-1, 3))) for image in images])

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        named = [[COLOURS[w] for w in fold(text.lower()).split() if w in COLOURS] for text in texts]
        return np.stack([_unit(_histogram(np.array(colours, np.uint8).reshape(-1, 3))) for colours in named])


def _histogram(pixels: np.ndarray) -> np.ndarray:
    red, green, blue = (pixels // 64).astype(np.int64).T
    return np.sqrt(np.bincount(red * 16 + green * 4 + blue, minlength=64) + 1e-3)


def _unit(vector: np.ndarray) -> np.ndarray:
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def settings_for(home: Path, **serve: object) -> Settings:
    settings = Settings(home=home, shard_count=SHARDS, _env_file=None)
    return settings.model_copy(update={"serve": settings.serve.model_copy(update={"poll_s": 0.1} | serve)})


def build(home: Path, clips: Path) -> Settings:
    """Fill `home`; the snapshot in service holds all videos."""
    settings = settings_for(home)
    library, ledger = Library(LocalArchive(settings.archive_dir)), SqliteLedger(settings.ledger_path)
    old = make_old_clip(home / "old_clip.avi")
    inputs = [add(library, ledger, path) for path in [*(clips / f"{v}.mp4" for v in SCENES if v != "old_clip"), old]]
    ledger.put([LedgerEntry("broken", "videos", "failed", "not_a_video", f"No video is in it. {ATTACK}")])
    ledger.put([LedgerEntry("busy", "videos", "done"), LedgerEntry("busy", "shots", "running")])
    put_in_service(settings, inputs)
    return settings


def copied(home: Path, to: Path) -> Settings:
    """The settings of a copy of a home that was filled before: to fill one takes ten times as long."""
    shutil.copytree(home, to, dirs_exist_ok=True)
    return settings_for(to)


def put_in_service(
    settings: Settings, inputs: Sequence[SealedInput], fingerprint: str = ColourEmbedder.fingerprint
) -> str:
    """Seal and publish; the snapshot's id."""
    shards = [
        seal(
            settings.shelf_dir,
            index,
            [one for one in inputs if shard_of(one.video.video_id, SHARDS) == index],
            shard_count=SHARDS,
            embed_fingerprint=fingerprint,
            dim=ColourEmbedder.dim,
        ).shard_id
        for index in range(SHARDS)
    ]
    return publish(settings.shelf_dir, shards, measure=scales).snapshot_id


def scales(snapshot: Snapshot) -> dict[str, tuple[float, float]]:
    """The scale of cosines that the snapshot carries."""
    measured = measure(snapshot.vectors, ColourEmbedder())
    return {
        "vector_text": (measured.text.low, measured.text.high),
        "vector_image": (measured.image.low, measured.image.high),
    }


def add(library: Library, ledger: SqliteLedger, path: Path) -> SealedInput:
    """One clip into the archive: the file, its pictures at every second; and what is to be sealed of it."""
    from khung.video.identity import file_sha256

    video_id, sha256 = path.stem, file_sha256(path)
    ledger.claim(sha256, path.name, video_id)
    ledger.put([LedgerEntry(video_id, stage, "done") for stage in STAGES])
    media_key = library.put_media(video_id, path)
    frames, facts, pixel_format = read(path)
    name = NAMES.get(video_id, path.name)
    playable = plays("mov" if path.suffix == ".mp4" else "avi", path.suffix, facts[1], pixel_format)
    video = Video(video_id, sha256, name, media_key, path.stat().st_size, *facts, has_audio=False, playable=playable)
    library.put_video(video)
    if not playable and video_id != "old_clip":
        add_copy(library, ledger, path, video)
    records = [_record(library, video_id, index, ms, pixels) for index, ms, pixels in frames]
    vectors = ColourEmbedder().embed_images([pixels for _, _, pixels in frames])
    return SealedInput(video, _shots(video_id, records), records, vectors)


def add_copy(library: Library, ledger: SqliteLedger, path: Path, video: Video) -> None:
    """The copy that browsers play, as the pipeline makes it. The old clip has none: a copy may be switched off, or fail."""
    from khung.video.identity import file_sha256

    with playable_copy(path, MediaLimits(_env_file=None), video.duration_ms / 1000) as (copy, _):
        library.put_playable(video.video_id, copy)
        line = LedgerEntry(video.video_id, "playable_copies", "done", fingerprint=file_sha256(copy))
    ledger.put([line])


def read(path: Path) -> tuple[list[tuple[int, int, np.ndarray]], tuple, str]:
    """Every second's first frame as (index, ms, RGB); Video's fields from `container` to `duration_ms`; the pixel format."""
    import av

    with av.open(str(path)) as media:
        stream = media.streams.video[0]
        rate, start, frames, count, ms = stream.average_rate, None, [], 0, 0
        for index, frame in enumerate(media.decode(stream)):
            start = frame.time if start is None else start
            ms, count = round((frame.time - start) * 1000), index + 1
            if not frames or ms // 1000 > frames[-1][1] // 1000:
                frames.append((index, ms, frame.to_ndarray(format="rgb24")))
        facts = (media.format.name, stream.codec_context.name, stream.width, stream.height, 0, rate.numerator, rate.denominator, False, count, ms + 40)  # fmt: skip
        pixel_format = stream.pix_fmt
    return frames, facts, pixel_format


def _record(library: Library, video_id: str, index: int, ms: int, pixels: np.ndarray) -> FrameRecord:
    for variant, data in pictures(pixels):
        library.put_image(video_id, index, variant, data)
    scenes = SCENES[video_id]
    shot = max(i for i, scene in enumerate(scenes) if scene[0] * 1000 <= ms)
    _, vi, en, objects, shown, facets = scenes[shot]
    ends = [scene[0] * 1000 for scene in scenes[1:]] + [10**6]
    told = Description({"vi": vi, "en": en}, objects=tuple(Region(label, 0.9, BOX) for label in objects), **facets)
    phash = int.from_bytes(pixels[::40, ::40].tobytes()[:8].ljust(8), "big")
    keyframe = Keyframe(video_id, index, ms, shot, 0.5, 0.2, 0.3, 0.5, phash)
    lines = (TextLine(shown, 0.9, BOX),) if shown else ()
    return FrameRecord(keyframe, scenes[shot][0] * 1000, ends[shot], told, lines)


def pictures(pixels: np.ndarray) -> Iterator[tuple[str, bytes]]:
    from PIL import Image

    for variant, form, size in (("master.jpg", "JPEG", 2000), ("display.webp", "WEBP", 1280), ("display.avif", "AVIF", 640), ("thumb.webp", "WEBP", 320)):  # fmt: skip
        image = Image.fromarray(pixels)
        image.thumbnail((size, size))
        out = io.BytesIO()
        image.save(out, form, quality=70, **{"AVIF": {"speed": 10}, "WEBP": {"method": 0}}.get(form, {}))  # quickly
        yield variant, out.getvalue()


def _shots(video_id: str, records: Sequence[FrameRecord]) -> list[Shot]:
    firsts = {}
    for record in records:
        firsts.setdefault(record.keyframe.shot_index, record)
    return [
        Shot(video_id, i, r.keyframe.frame_index, r.keyframe.frame_index + 1, r.shot_start_ms, r.shot_end_ms)
        for i, r in firsts.items()
    ]


def make_old_clip(path: Path) -> Path:
    """Two seconds of MPEG-4 part 2 in an AVI: no browser plays it."""
    import av

    with av.open(str(path), "w") as media:
        stream = media.add_stream("mpeg4", rate=25)
        stream.width, stream.height = 160, 120
        for shade in range(50):
            frame = av.VideoFrame.from_ndarray(np.full((120, 160, 3), 80 + shade, np.uint8), format="rgb24")
            media.mux(stream.encode(frame))
        media.mux(stream.encode())
    return path
