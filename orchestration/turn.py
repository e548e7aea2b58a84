"""One at a time: while `khung ingest` works through the library in its own process, the sensors ask for nothing.

The lock is the kernel's, so it ends with the process that holds it, however that ends.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def turn(home: Path, *, wait: bool = True) -> Iterator[bool]:
    """Holds the turn for as long as the block lasts; says whether it was got. With `wait` it always is."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "ingest.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True


def taken(home: Path) -> bool:
    """Has another process the turn just now?"""
    with turn(home, wait=False) as got:
        return not got
