"""What a file says of itself: that it is whole. Who wrote it aside knows, and who finds it need not wait to see whether it still grows.

An extended attribute (xattr(7)) with the file's size: it stays with the file through links and renames, and a copy that takes it along is
not believed before it is as large. Where a file system keeps none, nothing is said.
"""

import contextlib
import os
from pathlib import Path

_NAME = "user.khung.whole"


def say_whole(path: Path) -> None:
    """Before the file gets its name. Never fails: whoever finds the file then looks twice."""
    with contextlib.suppress(OSError, AttributeError):  # Linux alone has them in Python
        os.setxattr(path, _NAME, str(path.stat().st_size).encode())


def is_whole(path: Path, size_bytes: int) -> bool:
    """Whether it says so of itself, as large as it is now."""
    try:
        return os.getxattr(path, _NAME) == str(size_bytes).encode()
    except (OSError, AttributeError):
        return False
