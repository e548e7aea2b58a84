"""Every bad file ends in a reason, from probe and from extract alike; what is sound of it is kept."""

import shutil

import pytest

from khung.errors import MediaError
from khung.settings import ExtractionSettings, MediaLimits
from khung.video.extract import extract
from khung.video.probe import probe

LIMITS = MediaLimits()


def reasons(path, tmp_path, limits=LIMITS) -> set[str]:
    """The reasons of probe and of extract, which are expected to be one."""
    found = set()
    for attempt in (
        lambda: probe(path, limits),
        lambda: extract(path, tmp_path / "out", limits, ExtractionSettings(), duration_s=60),
    ):
        with pytest.raises(MediaError) as caught:
            attempt()
        found.add(caught.value.reason)
    return found


def test_zero_bytes(tmp_path):
    (tmp_path / "a.mp4").touch()
    assert reasons(tmp_path / "a.mp4", tmp_path) == {"empty_file"}


def test_text_named_mp4(tmp_path):
    (tmp_path / "a.mp4").write_text("Một ngày đẹp trời.\n" * 100)
    assert reasons(tmp_path / "a.mp4", tmp_path) == {"not_a_video"}


def test_playlist_named_mp4_is_not_followed(tmp_path, clips):
    shutil.copy(clips / "nasa_13013.mp4", tmp_path / "part.mp4")
    (tmp_path / "a.mp4").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:13\n#EXTINF:13,\npart.mp4\n#EXT-X-ENDLIST\n")
    assert reasons(tmp_path / "a.mp4", tmp_path) == {"playlist_refused"}


def test_playlist_behind_a_video_header_is_not_followed(tmp_path, clips):
    """Bytes that look like MP4 are opened as MP4 and as nothing else."""
    shutil.copy(clips / "nasa_13013.mp4", tmp_path / "part.mp4")
    (tmp_path / "a.mp4").write_bytes(b"\x00\x00\x00\x10ftypisom\n#EXTM3U\n#EXTINF:13,\npart.mp4\n#EXT-X-ENDLIST\n")
    assert reasons(tmp_path / "a.mp4", tmp_path) == {"unreadable"}


def test_sound_alone(sound_only, tmp_path):
    assert reasons(sound_only, tmp_path) == {"no_video_stream"}


def test_an_mp4_whose_index_is_cut_off(clips, tmp_path, make_video):
    whole = make_video(frames=50)
    data = whole.read_bytes()
    assert data.rfind(b"moov") > data.find(b"mdat")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: data.rfind(b"moov") - 10])
    assert reasons(cut, tmp_path) == {"unreadable"}


def test_too_many_pixels(make_video, tmp_path):
    assert reasons(make_video(size=(320, 240)), tmp_path, MediaLimits(max_pixels=64 * 64)) == {"too_many_pixels"}


def test_too_long(make_video, tmp_path):
    assert reasons(make_video(frames=60, rate=1), tmp_path, MediaLimits(max_duration_s=30)) == {"too_long"}


def test_too_many_streams(make_video, tmp_path):
    assert reasons(make_video(audio=True), tmp_path, MediaLimits(max_streams=1)) == {"too_many_streams"}


def test_too_large(make_video):
    with pytest.raises(MediaError) as caught:
        probe(make_video(), MediaLimits(max_bytes=100))
    assert caught.value.reason == "too_large"


def test_a_codec_that_is_not_on_the_list(make_video, tmp_path):
    path = make_video("a.avi", codec="asv1", size=(64, 48))
    assert reasons(path, tmp_path) == {"unsupported_codec"}


@pytest.mark.parametrize("mib", range(240, 480, 20))
def test_too_little_memory(make_video, tmp_path, mib):
    """Wherever it runs out: at loading a library, at a decoder's picture, at our own. The file is not blamed, and no frame left out."""
    path = make_video(size=(3840, 2160), frames=3)
    try:
        made = extract(
            path, tmp_path / "out", MediaLimits(memory_bytes=mib * 2**20), ExtractionSettings(), duration_s=1
        )
    except MediaError as error:
        assert error.reason == "decoder_memory", error
    else:
        assert mib > 400 and (made.frame_count, made.warnings) == (3, ())


def test_a_truncated_tail_keeps_what_is_sound(make_video, tmp_path):
    whole = make_video(frames=200, size=(320, 240), muxer_options={"movflags": "faststart"}, codec_options={"g": "25"})
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    extraction = extract(cut, tmp_path / "out", LIMITS, ExtractionSettings())
    assert 20 < extraction.frame_count < 200
    assert "truncated_tail" in extraction.warnings
    assert len(extraction.small) == len(extraction.pts_ms) == extraction.frame_count
    assert extraction.candidates


def test_damage_in_the_middle_is_stepped_over(make_video, tmp_path):
    path = make_video("a.ts", frames=150, size=(320, 240), codec_options={"g": "10"})
    data = bytearray(path.read_bytes())
    data[len(data) // 3 : len(data) // 3 + 4000] = bytes(4000)
    path.write_bytes(data)
    extraction = extract(path, tmp_path / "out", LIMITS, ExtractionSettings())
    assert 100 < extraction.frame_count <= 150
    assert (extraction.pts_ms[1:] > extraction.pts_ms[:-1]).all()
