"""Makes times.json: `python tests/support/times_by_ffprobe.py CLIP… > tests/video/times.json` (needs ffprobe).

FFmpeg's own tool says when each frame is shown (best_effort_timestamp); khung's times are counted from the first frame and rounded
half up to milliseconds.
"""

import json
import subprocess
import sys
from array import array
from fractions import Fraction
from pathlib import Path
from zlib import crc32


def times_ms(path: Path) -> list[int]:
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-of", "json"]
    stream = json.loads(subprocess.check_output([*command, "-show_entries", "stream=time_base", path]))
    frames = json.loads(subprocess.check_output([*command, "-show_entries", "frame=best_effort_timestamp", path]))
    tick = Fraction(stream["streams"][0]["time_base"])
    ticks = [frame["best_effort_timestamp"] for frame in frames["frames"]]
    return [int((each - ticks[0]) * tick * 1000 + Fraction(1, 2)) for each in ticks]


def main() -> None:
    found = {}
    for name in sys.argv[1:]:
        times = times_ms(Path(name))
        found[Path(name).name] = {
            "frames": len(times),
            "last_ms": times[-1],
            "crc32": crc32(array("q", times).tobytes()),
        }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
