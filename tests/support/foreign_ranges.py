"""The measured ranges of an 8-bit model, as if they were of another file."""

import json
from pathlib import Path

import pytest

from khung.vision import eight_bits


def give_ranges_of_another(model: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the test ends, the ranges of the file `model` name another checksum; `folder` is to write in."""
    other = json.loads(eight_bits.RANGES.read_text())
    other[model]["model_sha256"] = "0" * 64
    (folder / "ranges.json").write_text(json.dumps(other))
    monkeypatch.setattr(eight_bits, "RANGES", folder / "ranges.json")
