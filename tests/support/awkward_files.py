"""Every kind of bad or odd file that a stranger may bring, made here from nothing but an encoder."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

BAD = {
    "empty.mp4": "empty_file",
    "letter.mp4": "not_a_video",
    "playlist.mp4": "playlist_refused",
    "sound only.mp4": "no_video_stream",
    "sound only.mkv": "no_video_stream",
    "no index.mp4": "unreadable",
}
"""File name → the reason it must end with."""

ODD = ("one frame.mp4", "cut tail.mp4", "variable rate.mp4", "rotated.mp4", "ten bit.mp4", "odd size.mp4")
"""Files that are unusual and sound: each must come through."""

WILD_NAMES = ("Phố cổ Hà Nội – đêm 30 tết.mp4", 'it\'s a "quoted" `name` $(rm -rf).mp4', "a\\..\\..\\windows\\evil.mp4")
"""Names that must become ids; their content is sound."""


def make_all(folder: Path) -> None:
    """All of the above, and two different videos of one name in two folders."""
    folder.mkdir(parents=True, exist_ok=True)
    _bad(folder)
    clip(folder / "one frame.mp4", frames=1)
    whole = clip(folder / "whole.mp4", frames=200, size=(320, 240), muxer={"movflags": "faststart"}, codec={"g": "25"})
    (folder / "cut tail.mp4").write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    whole.unlink()
    clip(folder / "variable rate.mp4", times=[i * 6 + i % 5 for i in range(50)])
    clip(folder / "rotated.mp4", rotation=90.0)
    clip(folder / "ten bit.mp4", pixel_format="yuv420p10le")
    clip(folder / "odd size.mp4", size=(101, 67), pixel_format="yuv444p")
    for number, name in enumerate(WILD_NAMES):
        clip(folder / name, frames=30 + number)
    for number, day in enumerate(("monday", "tuesday")):
        (folder / day).mkdir()
        clip(folder / day / "same name.mp4", frames=40 + number)


def _bad(folder: Path) -> None:
    (folder / "empty.mp4").touch()
    (folder / "letter.mp4").write_text("Một ngày đẹp trời.\n" * 100)
    (folder / "playlist.mp4").write_text("#EXTM3U\n#EXTINF:13,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n")
    sound(folder / "sound only.mp4", seconds=1)
    sound(folder / "sound only.mkv", seconds=2)
    whole = clip(folder / "no index.mp4", frames=50).read_bytes()
    (folder / "no index.mp4").write_bytes(whole[: whole.rfind(b"moov") - 10])


def clip(
    path: Path,
    frames: int = 50,
    *,
    size: tuple[int, int] = (64, 48),
    pixel_format: str = "yuv420p",
    rotation: float | None = None,
    times: Sequence[int] | None = None,
    muxer: dict[str, str] | None = None,
    codec: dict[str, str] | None = None,
) -> Path:
    """A coloured picture with a bar that moves; the colour follows from the number of frames, so that no two are alike."""
    import av

    width, height = size
    with av.open(str(path), "w", options=muxer or {}) as out:
        stream = out.add_stream("libx264", rate=25, options=codec or {})
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        if times:
            stream.codec_context.time_base = Fraction(1, 50)
        if rotation is not None:
            stream.set_display_rotation(rotation)
        for index in range(frames):
            picture = np.full((height, width, 3), (frames % 200, 120, 200 - frames % 200), np.uint8)
            picture[:, index * 3 % (width - 4) :][:, :4] = 250
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            if times:
                frame.pts, frame.time_base = times[index], Fraction(1, 50)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
    return path


def sound(path: Path, seconds: int) -> Path:
    """Silence and no picture."""
    import av

    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=16000)
        for part in range(0, 16000 * seconds, 1024):
            quiet = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            quiet.sample_rate, quiet.pts = 16000, part
            out.mux(stream.encode(quiet))
        out.mux(stream.encode())
    return path


def reencoded(source: Path, path: Path, *, from_s: float = 0.0, size: tuple[int, int] = (240, 136)) -> Path:
    """The same film smaller and coarser, from some second on: another file of the same content."""
    import av

    with av.open(str(source)) as film, av.open(str(path), "w") as out:
        stream = film.streams.video[0]
        copy = out.add_stream("libx264", rate=stream.average_rate, options={"crf": "30", "preset": "ultrafast"})
        copy.width, copy.height, copy.pix_fmt = *size, "yuv420p"
        start = float(stream.start_time * stream.time_base)
        kept = (frame for frame in film.decode(stream) if frame.time >= start + from_s)
        for number, frame in enumerate(kept):
            small = frame.reformat(*size, "yuv420p")
            small.pts, small.time_base = number, 1 / stream.average_rate
            out.mux(copy.encode(small))
        out.mux(copy.encode())
    return path
