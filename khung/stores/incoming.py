"""A file that is being put into a store, read so that what fails at the file is not blamed on the store."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from khung.errors import SourceUnreadable


class Incoming:
    """Reads like an open file. Raises SourceUnreadable where a file raises OSError."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path, self._file = path, file

    def read(self, size: int = -1) -> bytes:
        return self._asked(lambda: self._file.read(size))

    def rewind(self) -> None:
        self._asked(lambda: self._file.seek(0))

    def _asked(self, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except OSError as error:
            raise unreadable(self._path, error.strerror or str(error)) from error


@contextmanager
def incoming(path: Path) -> Iterator[Incoming]:
    """The file, open. Raises SourceUnreadable."""
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open(path, "rb"))
        except OSError as error:
            raise unreadable(path, error.strerror or str(error)) from error
        yield Incoming(path, file)


def unreadable(path: Path, why: str) -> SourceUnreadable:
    return SourceUnreadable(
        f"{path} could not be read: {why}.", cure="Is the file still there, its disk well, and may khung read it?"
    )
