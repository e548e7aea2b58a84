"""What the sandboxed child does with a file: `inspect` for probe, `decode_all` and `fetch_frames` for extract.

Each task takes a JSON request and gives a JSON answer; arrays and pictures go to files in the request's folder.
"""

import resource
import time
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from khung.errors import MediaError
from khung.video.candidates import read_candidates, write_candidates
from khung.video.child import Tell
from khung.video.chunk import Chunk
from khung.video.decode import decode, pictures
from khung.video.identity import to_hex
from khung.video.playable import plays
from khung.video.source import Source, check_duration, open_source
from khung.video.taps.candidates import CandidateTap, MasterWriter
from khung.video.taps.content import ContentTap
from khung.video.taps.motion import MotionTap
from khung.video.taps.quality import QualityTap
from khung.video.taps.sequence import SequenceTap
from khung.video.taps.small import SmallTap
from khung.video.timing import duration_ms, frame_rate

MAX_FRAMES = 5_000_000  # six hours at 230 frames a second
TAIL_MS = 500  # a stream that ends so much before its header says has lost its tail


def inspect(request: dict, tell: Tell) -> dict:
    """The fields of Probe but `size_bytes` and `network`."""
    with _open(request) as source:
        first = next(iter(pictures(source)))
        found = {
            "width": first.size[0],
            "height": first.size[1],
            "container": source.container.format.name.split(",")[0],
            "codec": source.codec,
            "rotation": first.turns * 90,
            "pixel_format": first.frame.format.name,
            "has_audio": bool(source.container.streams.audio),
        }
    found["playable"] = plays(request["demuxer"], Path(request["path"]).suffix, found["codec"], found["pixel_format"])
    with _open(request) as source:
        times = _packet_times(source)
        length = _length(source, times)
    check_duration(length["duration_ms"] / 1000, request["limits"])
    return {**found, **length, "warnings": sorted(source.warnings)}


def decode_all(request: dict, tell: Tell) -> dict:
    """One pass, all taps. The fields of Extraction that the parent does not know."""
    folder = Path(request["folder"])
    sequence = SequenceTap()
    candidates = CandidateTap(folder / "candidates", request["max_fps"])
    taps = [SmallTap(folder / "small.rgb"), ContentTap(), MotionTap(), QualityTap(), sequence, candidates]
    with _open(request) as source:
        signals = decode(source, taps, lambda frames, ms: tell({"frames": frames, "pts_ms": ms}))
        answer = _length(source, signals.arrays()["pts_ms"]) | {"decoder": source.decoder}
    np.savez(folder / "signals.npz", **signals.arrays())
    write_candidates(folder / "candidates", candidates.kept)
    return {
        **answer,
        "width": signals.size[0],
        "height": signals.size[1],
        "sequence_hash": to_hex(np.array(sequence.hashes, np.uint64)),
        "warnings": sorted(source.warnings),
        "cpu_s": round(time.process_time(), 3),
        "peak_bytes": _peak_bytes(),
    }


def fetch_frames(request: dict, tell: Tell) -> dict:
    """Make candidates of the frames asked for, beside those that are there."""
    folder = Path(request["folder"]) / "candidates"
    wanted, done = set(request["frames"]), 0
    writer = MasterWriter(folder)
    with _open(request) as source:
        for picture in pictures(source):
            if picture.index in wanted:
                alone = Chunk([picture], 1)
                writer.write(picture, alone.grey[0], float(alone.sharpness[0]))
                done += 1
            if done == len(wanted):
                break
    writer.close()
    known = {candidate.frame_index: candidate for candidate in [*read_candidates(folder), *writer.written]}
    write_candidates(folder, known.values())
    return {"added": done}


def _peak_bytes() -> int:
    """The most memory this program held. getrusage would count the parent it was forked from; Linux's VmHWM begins anew at exec."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _open(request: dict) -> AbstractContextManager[Source]:
    return open_source(Path(request["path"]), request["demuxer"], request["limits"], request.get("decoder", "cpu"))


def _packet_times(source: Source) -> np.ndarray:
    """Sorted times of all packets that will be shown, in ms from the first; missing ones spread evenly."""
    ticks = []
    for packet in source.packets():
        if packet.size and not packet.is_discard:
            ticks.append(packet.pts if packet.pts is not None else packet.dts)
        if len(ticks) > MAX_FRAMES:
            raise MediaError("too_long", f"The video has more than {MAX_FRAMES:,} frames.")
    if any(tick is None for tick in ticks):
        step = 1000 / float(source.stream.guessed_rate or 25)
        return np.round(np.arange(len(ticks)) * step).astype(np.int64)
    known = np.sort(np.array(ticks, np.int64))
    return np.round((known - known[:1]) * float(source.stream.time_base) * 1000).astype(np.int64)


def _length(source: Source, pts_ms: np.ndarray) -> dict:
    """Count, rate and duration of the frames at these times; warns when the header promised more."""
    rate, vfr = frame_rate(pts_ms, source.stream.guessed_rate)
    promised_ms = _promised_ms(source)
    # No longer than the header promises: what a damaged packet says of itself is worth nothing.
    most_ms = promised_ms or (source.container.duration or 0) / 1000
    last_ms = min(source.last_ms, most_ms - float(pts_ms[-1])) if len(pts_ms) else 0.0
    length_ms = duration_ms(pts_ms, rate, last_ms)
    if length_ms < promised_ms - TAIL_MS:
        source.warnings.add("truncated_tail")
    return {
        "frame_count": len(pts_ms),
        "duration_ms": length_ms,
        "fps_num": rate.numerator,
        "fps_den": rate.denominator,
        "vfr": vfr,
    }


def _promised_ms(source: Source) -> float:
    """The stream's length by its header; the container's only where it has no other stream that might be longer."""
    if source.stream.duration:
        return float(source.stream.duration * source.stream.time_base * 1000)
    alone = len(source.container.streams) == 1
    return (source.container.duration or 0) / 1000 if alone else 0.0
