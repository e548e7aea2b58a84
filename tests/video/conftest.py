"""Videos made for a test, in its own folder."""

from pathlib import Path

import made_videos
import pytest


@pytest.fixture
def make_video(tmp_path: Path):
    """`made_videos.make_video`, with a name instead of a path."""

    def make(name: str = "clip.mp4", frames: int = 25, **options) -> Path:
        return made_videos.make_video(tmp_path / name, frames, **options)

    return make


@pytest.fixture
def sound_only(tmp_path: Path) -> Path:
    return made_videos.make_sound(tmp_path / "sound.mp4")
