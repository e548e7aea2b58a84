"""Reading NumPy's files from several threads.

NumPy reads a file's header as a Python literal, and CPython 3.11 counts the depth of such a reading for the interpreter as a whole: two threads
at once make it raise “AST constructor recursion depth mismatch”. So one reads after the other; only headers and small arrays are read here,
large ones are mapped.
"""

import threading
from pathlib import Path
from typing import BinaryIO

import numpy as np

_ONE_AT_A_TIME = threading.Lock()


def load(path: Path, *, mapped: bool = False) -> np.ndarray:
    """The array of an `.npy` file. Raises OSError, ValueError and EOFError for what is none."""
    with _ONE_AT_A_TIME:
        return np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)


def load_all(file: Path | BinaryIO) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file by name. Raises as `load`, and zipfile.BadZipFile and KeyError."""
    with _ONE_AT_A_TIME, np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)
