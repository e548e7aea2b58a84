"""Every file of the hostile corpus gets its verdict, within limits, and nothing outside the file is touched."""

import socket
import time
from pathlib import Path

import pytest
from hostile_corpus import CASES, Case, reference_movie

from khung.errors import MediaError
from khung.settings import ExtractionSettings, MediaLimits
from khung.video.extract import extract
from khung.video.probe import probe

LIMITS = MediaLimits(memory_bytes=2**30, max_streams=32)
KNOWN_REASONS = {
    "empty_file", "not_a_video", "playlist_refused", "unreadable", "no_video_stream", "no_frames", "too_many_pixels",
    "too_long", "too_many_streams", "too_large", "unsupported_codec", "decoder_crashed", "decoder_timeout",
    "decoder_memory", "decoder_output",
}  # fmt: skip


def verdict(path: Path, folder: Path):
    """What probe and extract say: the extraction, or the first refusal."""
    facts = probe(path, LIMITS)
    return extract(path, folder, LIMITS, ExtractionSettings(), duration_s=facts.duration_ms / 1000)


def test_there_are_at_least_forty_and_each_reason_is_known():
    assert len({case.name for case in CASES}) == len(CASES) >= 40
    assert {case.verdict for case in CASES} <= KNOWN_REASONS | {"ok"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_file_gets_its_verdict(case: Case, tmp_path):
    path = tmp_path / case.name
    case.make(path)
    start = time.monotonic()
    if case.verdict == "ok":
        extraction = verdict(path, tmp_path / "out")
        assert extraction.frame_count >= case.frames
        assert case.warnings <= set(extraction.warnings)
        assert extraction.candidates
        assert (extraction.pts_ms[1:] >= extraction.pts_ms[:-1]).all()
    else:
        with pytest.raises(MediaError) as caught:
            verdict(path, tmp_path / "out")
        assert caught.value.reason == case.verdict
        assert caught.value.message
    assert time.monotonic() - start < 60


def test_an_address_in_a_movie_is_never_asked(tmp_path):
    path = tmp_path / "reference.mov"
    with socket.create_server(("127.0.0.1", 0)) as server:
        reference_movie(path)
        path.write_bytes(
            path.read_bytes().replace(b":9/secret", f":{server.getsockname()[1]}/s".encode()[:9].ljust(9, b"/"))
        )
        server.settimeout(1)
        with pytest.raises(MediaError):
            verdict(path, tmp_path / "out")
        with pytest.raises(TimeoutError):
            server.accept()


def test_a_folder_and_a_pipe_are_not_waited_for(tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe.mp4")
    for path in (tmp_path, tmp_path / "pipe.mp4"):
        with pytest.raises(MediaError) as caught:
            probe(path, LIMITS)
        assert caught.value.reason == "unreadable"
