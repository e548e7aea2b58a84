"""Copies that browsers play: when one is needed, and that it shows the same frames at the same times."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from made_videos import numbered

from khung.errors import MediaError
from khung.settings import MediaLimits
from khung.video.playable import playable_copy, plays
from khung.video.probe import probe
from khung.video.transcode import copy_size

LIMITS = MediaLimits(_env_file=None)


@pytest.mark.parametrize(
    ("demuxer", "suffix", "codec", "pixel_format", "expected"),
    [
        ("mov", ".mp4", "h264", "yuv420p", True),
        ("mov", ".mov", "h264", "yuvj420p", True),
        ("mov", ".mp4", "h264", "yuv444p", False),
        ("mov", ".mp4", "h264", "yuv420p10le", False),
        ("mov", ".mp4", "hevc", "yuv420p", False),
        ("mov", ".mp4", "mpeg4", "yuv420p", False),
        ("mov", ".mp4", "libdav1d", "yuv420p10le", True),
        ("matroska", ".webm", "vp9", "yuv420p", True),
        ("matroska", ".mkv", "vp9", "yuv420p", False),
        ("matroska", ".webm", "h264", "yuv420p", False),
        ("avi", ".avi", "h264", "yuv420p", False),
        ("mpeg", ".mpg", "mpeg2video", "yuv420p", False),
    ],
)
def test_what_browsers_play(demuxer, suffix, codec, pixel_format, expected):
    assert plays(demuxer, suffix, codec, pixel_format) is expected


def test_the_probe_says_it(make_video, clips):
    assert probe(make_video(), LIMITS).playable
    assert not probe(make_video("full.mp4", pixel_format="yuv444p"), LIMITS).playable
    assert not probe(clips / "cockatoo_cc0.mp4", LIMITS).playable


def decoded(path: Path) -> list[tuple[float, av.VideoFrame]]:
    """(seconds from the first frame, frame) in display order."""
    with av.open(str(path)) as film:
        frames = list(film.decode(video=0))
    return [(float((f.pts - frames[0].pts) * f.time_base), f) for f in frames]


CASES = {
    "full colour": {"pixel_format": "yuv444p"},
    "ten bit": {"pixel_format": "yuv420p10le"},
    "odd size": {"pixel_format": "yuv444p", "size": (101, 67)},
    "variable rate": {"pixel_format": "yuv444p", "times": [i * 6 + i % 5 for i in range(40)], "time_base": Fraction(1, 150)},
    "old": {"codec": "mpeg2video", "name": "old.mpg"},
    "B-frames": {"pixel_format": "yuv444p", "codec_options": {"bf": "3"}, "name": "b.mkv"},
    "film rate": {"pixel_format": "yuv444p", "rate": Fraction(30000, 1001)},
    "with sound": {"pixel_format": "yuv444p", "audio": True},
    "turned": {"pixel_format": "yuv444p", "rotation": 90.0},
}  # fmt: skip


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_the_same_frames_at_the_same_times(make_video, options):
    options = dict(options)
    source = make_video(options.pop("name", "clip.mp4"), 40, **options)
    with playable_copy(source, LIMITS, 2.0) as (copy, told):
        before, after = decoded(source), decoded(copy)
        data = copy.read_bytes()
        facts = probe(copy, LIMITS)
    assert told.frames == len(after) == len(before) and told.warnings == ()
    assert np.allclose([t for t, _ in after], [t for t, _ in before], atol=1 / 80_000)
    for (_, ours), (_, theirs) in zip(after[::7], before[::7], strict=True):
        assert ours.rotation == theirs.rotation
        small = [f.reformat(48, 32, "rgb24").to_ndarray().astype(int) for f in (ours, theirs)]
        assert np.abs(small[0] - small[1]).mean() < 12
    assert facts.playable and facts.has_audio is bool(options.get("audio")) is told.sound
    assert data.index(b"moov") < data.index(b"mdat")


def test_sound_before_the_first_picture_is_left_out(clips):
    with playable_copy(clips / "googlework_short.mp4", LIMITS, 35) as (copy, told), av.open(str(copy)) as film:
        first = {s.type: next(p for p in film.demux(s) if p.pts is not None) for s in film.streams}
        assert float(first["video"].pts * first["video"].time_base) == 0
    assert told.sound


def recorded(path: Path, layout: str = "stereo", rate: int = 48_000, seconds: int = 3) -> bytes:
    """A broadcast as it is recorded: MPEG-2 and AC-3 in a transport stream."""
    with av.open(str(path), "w", format="mpegts") as out:
        pictures, sound = out.add_stream("mpeg2video", rate=25), out.add_stream("ac3", rate=rate, layout=layout)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        for n in range(25 * seconds):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 3 * n % 255, np.uint8), "rgb24")
            picture.pts, picture.time_base = n, Fraction(1, 25)
            out.mux(pictures.encode(picture))
            channels = len(sound.codec_context.layout.channels)
            tone = np.sin(np.arange(rate // 25) / 20)[None].repeat(channels, 0).astype(np.float32)
            heard = av.AudioFrame.from_ndarray(tone, "fltp", layout)
            heard.sample_rate, heard.pts, heard.time_base = rate, n * (rate // 25), Fraction(1, rate)
            out.mux(sound.encode(heard))
        out.mux(pictures.encode())
        out.mux(sound.encode())
    return path.read_bytes()


@pytest.mark.parametrize("second", [{"layout": "5.1"}, {"rate": 44_100}, {}], ids=["5.1", "another rate", "the same"])
def test_recordings_put_end_to_end_keep_their_sound(tmp_path, second):
    """Stereo goes over into 5.1; the times begin again."""
    film = tmp_path / "film.ts"
    film.write_bytes(recorded(tmp_path / "1.ts") + recorded(tmp_path / "2.ts", **second))
    with playable_copy(film, LIMITS, 6) as (copy, told), av.open(str(copy)) as made:
        sound = [(float(f.pts * f.time_base), f.to_ndarray()) for f in made.decode(audio=0)]
    assert told.sound and told.frames == 150
    assert sum(piece.shape[1] for _, piece in sound) / 48_000 == pytest.approx(6, abs=0.2)
    assert sound[-1][0] == pytest.approx(6, abs=0.2)
    assert all(np.abs(piece).max() > 0.05 for _, piece in sound[5:-5:20])


def test_a_seek_decodes_two_seconds_at_most(make_video):
    """Also of a file whose rate is told as a thousand."""
    uneven = {"times": [40 * n + n * n * 31 % 37 for n in range(300)], "time_base": Fraction(1, 1000), "rate": 1000}
    film = make_video("film.mkv", 300, pixel_format="yuv444p", **uneven)
    with playable_copy(film, LIMITS, 12) as (copy, _), av.open(str(copy)) as made:
        keys = [float(p.pts * p.time_base) for p in made.demux(video=0) if p.is_keyframe and p.pts is not None]
    assert len(keys) >= 6 and np.diff(keys).max() <= 2.1


def test_large_pictures_are_made_smaller_and_even():
    assert copy_size(3840, 2160) == (1920, 1080)
    assert copy_size(2160, 3840) == (1080, 1920)
    assert copy_size(101, 67) == (100, 66)
    assert copy_size(1, 1) == (2, 2)


def test_a_cut_off_file_gives_what_is_there(make_video, tmp_path):
    whole = make_video("whole.mkv", 200, pixel_format="yuv444p", size=(320, 240), codec_options={"g": "10"})
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with playable_copy(cut, LIMITS, 8.0) as (copy, told):
        assert 0 < told.frames == len(decoded(copy)) < 200


@pytest.mark.parametrize("broken", ["no video", "too large"])
def test_what_cannot_be_copied_says_why(make_video, tmp_path, broken):
    path, limits = make_video(pixel_format="yuv444p", picture=numbered), LIMITS
    if broken == "no video":
        path = tmp_path / "text.mp4"
        path.write_text("no film")
    else:
        limits = LIMITS.model_copy(update={"max_pixels": 100})
    with pytest.raises(MediaError) as caught, playable_copy(path, limits, 1.0):
        pass
    assert caught.value.reason in ("not_a_video", "too_many_pixels")
