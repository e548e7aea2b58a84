"""One decode pass: every frame, its exact time, its pictures upright, whatever the container does."""

import json
from fractions import Fraction
from pathlib import Path
from zlib import crc32

import cv2
import numpy as np
import pytest
from made_videos import CORNERS

from khung.errors import MediaError
from khung.settings import ExtractionSettings, MediaLimits
from khung.video.extract import extract
from khung.video.formats import sniff
from khung.video.probe import probe
from khung.video.source import open_source

LIMITS, SETTINGS = MediaLimits(), ExtractionSettings()


@pytest.fixture
def extracted(tmp_path):
    def run(path: Path, settings: ExtractionSettings = SETTINGS):
        return extract(path, tmp_path / f"{path.stem}.out", LIMITS, settings)

    return run


def corners(picture: np.ndarray) -> list[str]:
    """The names of the colours in the four quarters of an RGB picture, row by row."""
    height, width = picture.shape[:2]
    spots = [
        picture[height * 3 // 4 if low else height // 8, width * 7 // 8 if right else width // 8]
        for low in (0, 1)
        for right in (0, 1)
    ]
    return [min(CORNERS, key=lambda name: np.abs(np.array(CORNERS[name]) - spot.astype(int)).sum()) for spot in spots]


UPRIGHT = ["red", "green", "blue", "white"]


@pytest.mark.parametrize(
    ("degrees", "expected"),
    [
        (None, UPRIGHT),
        (90, ["green", "white", "red", "blue"]),  # a quarter against the clock
        (180, ["white", "blue", "green", "red"]),
        (-90, ["blue", "red", "white", "green"]),
    ],
)
def test_rotation_turns_every_picture(make_video, extracted, degrees, expected):
    path = make_video(size=(128, 96), rotation=degrees)
    extraction, facts = extracted(path), probe(path, LIMITS)
    turned = degrees in (90, -90)
    assert (extraction.width, extraction.height) == (facts.width, facts.height) == ((96, 128) if turned else (128, 96))
    assert facts.rotation == (-(degrees or 0)) % 360
    assert corners(extraction.small[0]) == expected
    master = cv2.imread(str(extraction.candidates_dir / extraction.candidates[0].file))[..., ::-1]
    assert corners(master) == expected
    assert master.shape[:2] == (extraction.height, extraction.width)


def test_constant_rate_with_b_frames(make_video, extracted):
    path = make_video(frames=60, rate=25, codec_options={"bf": "3", "g": "30"})
    extraction = extracted(path)
    assert extraction.pts_ms.tolist() == [40 * i for i in range(60)]
    assert (extraction.fps_num, extraction.fps_den, extraction.vfr) == (25, 1, False)
    assert extraction.duration_ms == probe(path, LIMITS).duration_ms == 2400


def test_ntsc_rate_is_rounded_from_the_exact_time(make_video, extracted):
    path = make_video(frames=90, rate=Fraction(30000, 1001))
    extraction = extracted(path)
    assert extraction.pts_ms.tolist() == [int(Fraction(1001000 * i, 30000) + Fraction(1, 2)) for i in range(90)]
    assert (extraction.fps_num, extraction.fps_den) == (30000, 1001)


@pytest.mark.parametrize("name", ["vfr.mp4", "vfr.mkv"])
def test_variable_rate_keeps_each_time(make_video, extracted, name):
    times = np.cumsum([0, *([40] * 20), 900, *([10] * 20), 2000, 33, 33]).tolist()
    path = make_video(name, frames=len(times), times=times, time_base=Fraction(1, 1000), codec_options={"bf": "2"})
    extraction = extracted(path)
    assert extraction.pts_ms.tolist() == times
    assert extraction.vfr
    assert probe(path, LIMITS).vfr


def test_a_late_start_is_time_zero(make_video, extracted):
    times = [5000 + 40 * i for i in range(30)]
    extraction = extracted(make_video("late.mkv", frames=30, times=times, time_base=Fraction(1, 1000)))
    assert extraction.pts_ms.tolist() == [40 * i for i in range(30)]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ten_bit.mp4", {"codec": "libx264", "pixel_format": "yuv420p10le"}),
        ("full_chroma.mp4", {"codec": "libx264", "pixel_format": "yuv444p"}),
        ("full_range.avi", {"codec": "mjpeg", "pixel_format": "yuvj420p"}),
        ("ten_bit_422.mp4", {"codec": "libx264", "pixel_format": "yuv422p10le"}),
        ("half_planar.avi", {"codec": "rawvideo", "pixel_format": "nv12"}),
        ("rgb.mkv", {"codec": "ffv1", "pixel_format": "bgr0"}),
        ("vp9.webm", {"codec": "libvpx-vp9", "pixel_format": "yuv420p"}),
        ("mpeg2.mpg", {"codec": "mpeg2video", "pixel_format": "yuv420p"}),
        ("mpeg4.avi", {"codec": "mpeg4", "pixel_format": "yuv420p"}),
    ],
)
def test_pixel_formats_and_codecs_show_the_same_picture(make_video, extracted, name, options):
    extraction = extracted(make_video(name, frames=12, size=(128, 96), **options))
    assert extraction.frame_count == 12
    assert corners(extraction.small[5]) == UPRIGHT
    quarter = extraction.small[5][3:10, 3:20].reshape(-1, 3).mean(0)
    assert np.abs(quarter - CORNERS["red"]).max() < 25  # BT.601 or BT.709, but not washed out


@pytest.mark.parametrize("size", [(66, 50), (2, 2), (16, 400), (1000, 8)])
def test_odd_sizes(make_video, extracted, size):
    extraction = extracted(make_video("odd.mkv", frames=5, size=size, codec="ffv1", pixel_format="yuv444p"))
    assert (extraction.width, extraction.height, extraction.frame_count) == (*size, 5)


def test_odd_width_and_height_with_shared_chroma(make_video, extracted):
    extraction = extracted(make_video("odd.mkv", frames=5, size=(65, 49), codec="ffv1"))
    assert (extraction.width, extraction.height) == (65, 49)
    assert corners(extraction.small[0]) == UPRIGHT


def test_wide_pixels_are_made_square(make_video, extracted):
    path = make_video(size=(128, 96), aspect=Fraction(4, 3))
    extraction = extracted(path)
    assert (extraction.width, extraction.height) == (171, 96)
    assert probe(path, LIMITS).width == 171
    assert cv2.imread(str(extraction.candidates_dir / extraction.candidates[0].file)).shape == (96, 171, 3)


def test_one_frame(make_video, extracted):
    extraction = extracted(make_video(frames=1))
    assert extraction.frame_count == len(extraction.candidates) == 1
    assert extraction.duration_ms == 40
    assert len(extraction.sequence_hash) == 16


def test_candidates_are_the_sharpest_of_each_half_second(make_video, extracted):
    def blurred(index, width, height):
        light = 100 + 30 * (index // 12)  # no window stands still
        picture = np.random.default_rng(1).integers(light, light + 30, (height, width, 3), np.uint8)
        return picture if index % 12 == 5 else cv2.GaussianBlur(picture, (0, 0), 0.8)

    extraction = extracted(
        make_video(frames=48, rate=24, size=(320, 240), picture=blurred, codec_options={"crf": "10"})
    )
    sharp = [candidate.frame_index for candidate in extraction.candidates]
    assert sharp == [5, 17, 29, 41]


def test_a_short_shot_between_hard_cuts_has_its_candidate(make_video, extracted):
    def cuts(index, width, height):
        base = np.random.default_rng(index // 8).integers(0, 255, (6, 8, 3), np.uint8)
        return cv2.resize(base, (width, height), interpolation=cv2.INTER_NEAREST)

    extraction = extracted(make_video(frames=64, picture=cuts, size=(320, 240)))
    shots = {candidate.frame_index // 8 for candidate in extraction.candidates}
    assert shots == set(range(8))


def test_fetch_adds_the_frames_asked_for(make_video, extracted):
    extraction = extracted(make_video(frames=50))
    before = {candidate.frame_index for candidate in extraction.candidates}
    extraction.fetch([7, 33])
    after = extraction.candidates
    assert {candidate.frame_index for candidate in after} == before | {7, 33}
    assert [candidate.pts_ms for candidate in after if candidate.frame_index in (7, 33)] == [280, 1320]
    assert all((extraction.candidates_dir / candidate.file).exists() for candidate in after)


def test_memory_grows_by_some_bytes_a_frame_only(make_video, extracted):
    """So that four hours at 30 frames a second (432,000 frames) stay far below 1 GiB."""
    short, long = (extracted(make_video(f"{frames}.mkv", frames, codec="mpeg4")) for frames in (500, 5500))
    assert (long.peak_bytes - short.peak_bytes) / 5000 < 1000
    assert short.peak_bytes + 432_000 * 1000 < 2**30


@pytest.mark.parametrize("name", ["other.mkv", "other.ts", "other.flv"])
def test_the_container_changes_nothing_but_the_clock(make_video, extracted, tmp_path, name):
    """The same coded frames in other boxes: packets are cut, buffered and timed in other ways, the pictures are the same."""
    import av

    path = make_video(frames=60, size=(160, 120), codec_options={"bf": "0", "g": "20"})
    with av.open(str(path)) as source, av.open(str(tmp_path / name), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    one, other = extracted(path), extracted(tmp_path / name)
    assert (one.small == other.small).all()
    assert np.abs(one.pts_ms - other.pts_ms).max() <= 1
    assert all((one.signals[signal] == other.signals[signal]).all() for signal in ("content", "change", "sharpness"))


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "libx264"), ("a.avi", "mpeg4"), ("a.webm", "libvpx-vp9"), ("a.mkv", "ffv1"), ("b.mkv", "libsvtav1")],
)
def test_the_gpu_is_wished_for_and_the_cpu_steps_in(make_video, extracted, monkeypatch, name, codec):
    """The child is sent to look for a GPU even where there is none; on a machine with one this compares the two decoders,
    codec by codec."""
    monkeypatch.setattr("khung.video.extract.gpu_at_hand", lambda: True)
    path = make_video(name, frames=30, codec=codec)
    plain = extracted(path)
    wished = extracted(path, ExtractionSettings(decoder="nvdec"))
    assert plain.decoder == "cpu"
    assert wished.pts_ms.tolist() == plain.pts_ms.tolist()
    assert np.abs(wished.small.astype(int) - plain.small).max() <= (0 if wished.decoder == "cpu" else 3)


@pytest.mark.parametrize(
    ("codec", "knows"),
    [("h264", True), ("hevc", True), ("vp9", True), ("mpeg2video", True), ("ffv1", False), ("libdav1d", False)],
)
def test_the_decoders_say_which_codecs_the_gpu_takes(codec, knows):
    """What FFmpeg chooses by, stream by stream, wherever it runs: docs/keyframes.md names the same."""
    import av

    kinds = {config.device_type.name for config in av.Codec(codec, "r").hardware_configs or ()}
    assert ("cuda" in kinds) is knows


def test_without_a_gpu_memory_stays_limited(make_video, tmp_path, monkeypatch):
    """Only a driver that reserves the address space of the whole machine may have it."""
    path = make_video(size=(3840, 2160), frames=3)
    limits, wish = MediaLimits(memory_bytes=410 * 2**20), ExtractionSettings(decoder="nvdec")
    monkeypatch.setattr("khung.video.extract.gpu_at_hand", lambda: False)
    with pytest.raises(MediaError) as caught:
        extract(path, tmp_path / "out", limits, wish, duration_s=1)
    assert caught.value.reason == "decoder_memory"
    monkeypatch.setattr("khung.video.extract.gpu_at_hand", lambda: True)
    assert extract(path, tmp_path / "out", limits, wish, duration_s=1).frame_count == 3


def test_progress_is_told_and_nothing_but_the_result_is_left(clips, tmp_path):
    told = []
    extraction = extract(clips / "googlework_short.mp4", tmp_path, LIMITS, SETTINGS, told.append, duration_s=35)
    assert all(set(each) == {"frames", "pts_ms"} for each in told)
    assert {path.name for path in tmp_path.iterdir()} == {"small.rgb", "signals.npz", "candidates"}
    assert (tmp_path / "small.rgb").stat().st_size == 1026 * 27 * 48 * 3
    assert set(extraction.signals) == {"pts_ms", "content", "change", "flow", "sharpness", "brightness", "entropy"}
    assert all(len(each) == 1026 and np.isfinite(each).all() for each in extraction.signals.values())


EXPECTED_TIMES = json.loads((Path(__file__).parent / "times.json").read_text())


def summary(pts_ms: list[int]) -> dict:
    return {"frames": len(pts_ms), "last_ms": pts_ms[-1], "crc32": crc32(np.array(pts_ms, np.int64).tobytes())}


@pytest.mark.parametrize("name", ["cockatoo_cc0.mp4", "googlework_short.mp4", "nasa_13013.mp4"])
def test_frames_and_times_agree_with_ffprobe(clips, extracted, name):
    """`times.json` was made by ffprobe (times_by_ffprobe.py): count, last, and a checksum of all frame times."""
    assert summary(extracted(clips / name).pts_ms.tolist()) == EXPECTED_TIMES[name]


@pytest.mark.shared
def test_frames_and_times_of_the_extra_clips_agree_with_ffprobe(extra_clips):
    if not extra_clips:
        pytest.skip("no extra clips here")
    known = [path for path in extra_clips if path.name in EXPECTED_TIMES]
    assert known, "clips, but none whose times are known"
    for path in known:
        with open_source(path, sniff(path), LIMITS.model_dump()) as source:
            assert summary([pts_ms for pts_ms, _ in source.frames()]) == EXPECTED_TIMES[path.name], path.name


def slides(path: Path, shown_s: list[int]) -> Path:
    """A lecture: each slide is one frame, shown so long."""
    import av

    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        packets = []
        for n in range(len(shown_s)):
            frame = av.VideoFrame.from_ndarray(np.full((64, 96, 3), 40 * n, np.uint8), "rgb24")
            frame.pts, frame.time_base = 1000 * sum(shown_s[:n]), Fraction(1, 1000)
            packets += stream.encode(frame)
        packets += stream.encode()
        for packet, seconds in zip(packets, shown_s, strict=True):
            packet.duration = round(seconds / packet.time_base)
            out.mux(packet)
    return path


@pytest.mark.parametrize("name", ["slides.mp4", "slides.mkv"])
def test_the_last_slide_stands_as_long_as_it_stands(tmp_path, extracted, name):
    path = slides(tmp_path / name, [5, 7, 3, 60])
    for found in (probe(path, LIMITS), extracted(path)):
        assert found.duration_ms == pytest.approx(75_000, abs=50)
        assert "truncated_tail" not in found.warnings
