"""The network, loaded once, and the extraction of the clips with known cuts."""

import json
from pathlib import Path

import pytest

from khung.settings import ExtractionSettings, MediaLimits
from khung.shots.transnet import TransNet
from khung.video.extract import Extraction, extract


@pytest.fixture(scope="session")
def transnet(models_dir) -> TransNet:
    return TransNet(models_dir / "transnetv2.onnx", threads=2)


@pytest.fixture(scope="session")
def known_cuts(clips) -> dict[str, dict]:
    return json.loads((clips / "cuts.json").read_text())["clips"]


@pytest.fixture(scope="session")
def extraction_of(clips, tmp_path_factory):
    """By clip name; made once a session."""
    made: dict[str, Extraction] = {}

    def get(name: str) -> Extraction:
        if name not in made:
            folder = tmp_path_factory.mktemp(Path(name).stem)
            made[name] = extract(clips / name, folder, MediaLimits(), ExtractionSettings(), duration_s=60)
        return made[name]

    return get
