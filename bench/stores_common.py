"""What the stores' benchmarks share: clocks, pairs, folders that go or stay."""

import getpass
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

KEPT = Path(tempfile.gettempdir()) / f"khung-bench-{getpass.getuser()}"


@contextmanager
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="khung-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def kept(name: str, make: Callable[[Path], object]) -> Path:
    """The folder of that name, made if it is not there: whole or not at all."""
    path = KEPT / name
    if not path.exists():
        KEPT.mkdir(exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=KEPT, prefix=".aside-"))
        try:
            make(aside)
            aside.rename(path)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return path


def spent(work: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    begun = clock()
    work()
    return clock() - begun


def against(
    ours: Callable[[], object], bare: Callable[[], object], count: int, clock: Callable[[], float], pairs: int = 5
) -> dict:
    """Items a second of both, and bare/ours time: 1 is as fast as bare. The first pair warms up and is not counted."""
    found = [(spent(bare, clock), spent(ours, clock)) for _ in range(pairs + 1)][1:]
    return {
        "per_s": round(count / min(o for _, o in found)),
        "bare_per_s": round(count / min(b for b, _ in found)),
        "ratio": round(statistics.median(b / o for b, o in found), 2),
    }


def milliseconds(values: list[float], name: str) -> dict[str, float]:
    """Seconds → the middle and the 95th percentile."""
    ms = np.array(values) * 1e3
    return {f"{name}_p50": round(float(np.median(ms)), 3), f"{name}_p95": round(float(np.quantile(ms, 0.95)), 3)}
