"""One at a time: while `khung ingest` works through the library in its own process (or `khung erase` and `khung rescale` change what is
published), the sensors ask for nothing.

The lock is the kernel's, so it ends with the process that holds it, however that ends.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from khung.settings import Settings


@contextmanager
def turn(settings: Settings, *, wait: bool = True) -> Iterator[bool]:
    """Holds the turn for as long as the block lasts; says whether it was got. With `wait` it always is."""
    settings.home.mkdir(parents=True, exist_ok=True)
    with settings.turn_path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True


def taken(settings: Settings) -> bool:
    """Has another process the turn just now?"""
    with turn(settings, wait=False) as got:
        return not got
