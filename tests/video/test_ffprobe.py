"""Frame count and times against FFmpeg's own tool, asked in the same test, for every way a container may tell time."""

import shutil
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest
from times_by_ffprobe import times_ms

from khung.settings import ExtractionSettings, MediaLimits
from khung.video.extract import extract


@pytest.fixture(autouse=True, scope="module")
def ffprobe() -> None:
    if not shutil.which("ffprobe"):
        pytest.fail("No ffprobe. Install FFmpeg (Debian: apt-get install ffmpeg), or run `make system`.")


B_FRAMES = {"bf": "3", "g": "30"}
UNEVEN = [0, 40, 55, 200, 205, 300, *range(340, 1600, 35), 4000, 4040]


def cut_by_edit_list(make: Callable, path: Path) -> Path:
    """Half a second is in the file but, by its edit list, not to be shown; the first frame shown is no key frame."""
    whole = make("whole.mp4", 75, codec_options=B_FRAMES)
    with av.open(str(whole)) as source, av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                shift = int(Fraction(1, 2) / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, stream
                out.mux(packet)
    return path


def begun_late(make: Callable, path: Path) -> Path:
    """An empty edit before the first frame: sound begins, the picture follows."""
    whole = make("whole.mp4", 50, audio=True, codec_options=B_FRAMES)
    command = ["ffmpeg", "-v", "error", "-i", whole, "-itsoffset", "1.5", "-i", whole, "-map", "0:a", "-map", "1:v"]
    subprocess.run([*command, "-c", "copy", path], check=True)
    return path


def cut_while_copied(make: Callable, path: Path) -> Path:
    """As people trim: FFmpeg copies from the key frame before and hides the rest."""
    whole = make("whole.mp4", 100, codec_options=B_FRAMES)
    command = ["ffmpeg", "-v", "error", "-ss", "1.7", "-i", whole, "-c", "copy", path]
    subprocess.run(command, check=True)
    return path


MADE: dict[str, Callable[[Callable, Path], Path]] = {
    "even.mp4": lambda make, path: make(path.name, 60),
    "b_frames.mp4": lambda make, path: make(path.name, 60, codec_options=B_FRAMES),
    "b_frames.ts": lambda make, path: make(path.name, 60, codec_options=B_FRAMES),
    "b_frames.flv": lambda make, path: make(path.name, 60, codec_options=B_FRAMES),
    "ntsc.mp4": lambda make, path: make(path.name, 90, rate=Fraction(30000, 1001), codec_options=B_FRAMES),
    "uneven.mp4": lambda make, path: make(
        path.name, len(UNEVEN), times=UNEVEN, time_base=Fraction(1, 1000), codec_options=B_FRAMES
    ),
    "uneven.mkv": lambda make, path: make(path.name, len(UNEVEN), times=UNEVEN, time_base=Fraction(1, 1000)),
    "raw_packets.avi": lambda make, path: make(path.name, 30, codec="rawvideo"),
    "cut_by_edit_list.mp4": cut_by_edit_list,
    "cut_while_copied.mp4": cut_while_copied,
    "begun_late.mp4": begun_late,
}  # fmt: skip


@pytest.mark.parametrize("name", MADE)
def test_every_frame_and_its_time(make_video, tmp_path, name):
    path = MADE[name](make_video, tmp_path / name)
    extraction = extract(path, tmp_path / "out", MediaLimits(), ExtractionSettings())
    assert extraction.pts_ms.tolist() == times_ms(path)


LACKING: dict[str, dict] = {
    "b_frames.avi": {"codec": "mpeg4", "codec_options": {"bf": "2"}},  # AVI knows no presentation times
    "negative.mkv": {
        "times": range(-400, 2000, 40),
        "time_base": Fraction(1, 1000),
        "muxer_options": {"avoid_negative_ts": "disabled"},
    },
}


@pytest.mark.parametrize("name", LACKING)
def test_every_frame_where_ffprobe_too_knows_no_time_for_some(make_video, tmp_path, name):
    path = make_video(name, 60, **LACKING[name])
    extraction = extract(path, tmp_path / "out", MediaLimits(), ExtractionSettings())
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-of", "csv=p=0", "-show_entries", "frame=pict_type"]
    pictures = subprocess.check_output([*command, path], text=True).split()
    assert extraction.frame_count == len(pictures) == 60
    assert extraction.pts_ms.tolist() == [40 * i for i in range(60)]


def test_what_an_edit_list_hides_is_not_counted(make_video, tmp_path):
    path = cut_by_edit_list(make_video, tmp_path / "cut.mp4")
    with av.open(str(path)) as container:
        assert sum(packet.size > 0 for packet in container.demux(video=0)) == 75
    extraction = extract(path, tmp_path / "out", MediaLimits(), ExtractionSettings())
    assert 60 <= extraction.frame_count < 75
    assert extraction.pts_ms[0] == 0
