"""The frames that may become keyframes: a folder of JPEG masters with a list of what is known of each."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

LIST = "candidates.json"


@dataclass(frozen=True, slots=True, order=True)
class Candidate:
    """One frame, with its master `file` in the folder. `phash` has 64 bits."""

    frame_index: int
    pts_ms: int
    sharpness: float
    phash: int
    file: str


def write_candidates(folder: Path, candidates: Iterable[Candidate]) -> None:
    """Sorted by frame, one list in the folder of the masters."""
    (folder / LIST).write_text(json.dumps([asdict(candidate) for candidate in sorted(candidates)]), encoding="utf-8")


def read_candidates(folder: Path) -> list[Candidate]:
    """By frame."""
    return [Candidate(**each) for each in json.loads((folder / LIST).read_text(encoding="utf-8"))]
