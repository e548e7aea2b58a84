"""The frames that may become keyframes: a folder of JPEG masters with a list of what is known of each.

Which of them become keyframes is decided in khung.keyframes.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from khung.errors import CorruptError
from khung.records import Shot

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
    """By frame. Raises CorruptError when the list is not there or none."""
    try:
        return [Candidate(**each) for each in json.loads((folder / LIST).read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError) as error:
        raise CorruptError(
            f"The list of candidates cannot be read: {error}.", cure="Run the shots stage again."
        ) from error


def settled_range(shots: list[Shot], index: int) -> tuple[int, int]:
    """`[start_ms, end_ms)` where a shot's keyframes may stand: without the transitions at its two ends.

    The whole shot if nothing would be left.
    """
    shot = shots[index]
    start, end = shot.start_ms, shot.end_ms
    if shot.transition_ms:
        start = max(start, shot.transition_ms[1])
    if index + 1 < len(shots) and (coming := shots[index + 1].transition_ms):
        end = min(end, coming[0])
    return (start, end) if start < end else (shot.start_ms, shot.end_ms)
