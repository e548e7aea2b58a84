"""The Archive as a local folder. A key is a relative path; a file appears whole by rename or not at all.

Keys come from ids that strangers may choose, so every key is checked and no symbolic link is followed.
"""

import contextlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from khung.errors import NotFound, Outage
from khung.stores.durable import remove_old, sync_folder
from khung.stores.incoming import incoming

_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,199}")
ASIDE = ".aside"  # where files are written before they get their name; no key can name it


def check_key(key: str) -> str:
    """The key, if every part of it is a plain name; else NotFound."""
    if len(key) > 900 or not all(_PART.fullmatch(part) for part in key.split("/")):
        raise NotFound(f"“{key[:200]}” is not an archive key.")
    return key


class LocalArchive:
    """An Archive in one folder. Safe for many readers and writers; the last writer of a key wins."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root).resolve()
        self._aside = self.root / ASIDE
        self._aside.mkdir(parents=True, exist_ok=True)

    def put_bytes(self, key: str, data: bytes, *, content_type: str = "application/octet-stream") -> None:
        self._put(key, lambda out: out.write(data))

    def put_file(self, key: str, path: Path, *, content_type: str = "application/octet-stream") -> None:
        """A copy, never a link: the source may change afterwards."""
        with incoming(path) as source:
            self._put(key, lambda out: shutil.copyfileobj(source, out, 1 << 20))

    def get_bytes(self, key: str) -> bytes:
        with self.open(key) as stream:
            return stream.read()

    def open(self, key: str, *, offset: int = 0) -> BinaryIO:
        stream = self.local_path(key).open("rb")
        stream.seek(offset)
        return stream

    def local_path(self, key: str) -> Path:
        path = self._path(key)
        if not path.is_file():
            raise NotFound(f"The archive has no {key}.")
        return path

    def size(self, key: str) -> int | None:
        path = self._path(key)
        return path.stat().st_size if path.is_file() else None

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Every key that begins with `prefix`, sorted."""
        folder = prefix.rpartition("/")[0]
        top = self._path(folder) if folder else self.root
        found = []
        for base, folders, files in os.walk(top):
            folders[:] = [f for f in folders if f != ASIDE]
            found += [Path(base, f).relative_to(self.root).as_posix() for f in files if not Path(base, f).is_symlink()]
        return iter(sorted(k for k in found if k.startswith(prefix)))

    def delete(self, key: str) -> None:
        path = self._path(key)
        path.unlink(missing_ok=True)
        self._remove_empty(path.parent)

    def tidy(self, *, min_age_s: float = 86_400.0) -> int:
        return remove_old(list(self._aside.iterdir()), min_age_s)

    def _path(self, key: str) -> Path:
        path = self.root.joinpath(*check_key(key).split("/"))
        if path.resolve() != path:  # a symbolic link on the way
            raise NotFound(f"The archive does not follow links: {key}.")
        return path

    def _put(self, key: str, write: Callable[[BinaryIO], object]) -> None:
        path = self._path(key)
        try:
            handle, aside = tempfile.mkstemp(dir=self._aside)
            try:
                with os.fdopen(handle, "wb") as out:
                    write(out)
                    out.flush()
                    os.fsync(out.fileno())
                os.chmod(aside, 0o644)  # mkstemp makes files that only the owner may read
                self._move(aside, path)
            except BaseException:
                Path(aside).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise Outage(
                f"The archive could not write {key}: {error}.",
                cure=f"Is the disk full? Is {self.root} there, and may khung write to it?",
                said="The archive could not be written to.",
            ) from error

    def _move(self, aside: str, path: Path) -> None:
        """Into its folder, however often a delete beside us removes that folder while it is still empty."""
        while True:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                os.replace(aside, path)
                break
            except FileNotFoundError:
                if not os.path.exists(aside):  # not the folder: somebody took the file itself
                    raise
            except FileExistsError as error:
                # `mkdir` found the folder, then looked whether it is one, and it was gone: again. Anything else that
                # stands in the folder's place stays there.
                with contextlib.suppress(FileNotFoundError):
                    if not stat.S_ISDIR(os.lstat(error.filename).st_mode):
                        raise
        with contextlib.suppress(FileNotFoundError):  # deleted again already, and its folder with it
            sync_folder(path.parent)

    def _remove_empty(self, folder: Path) -> None:
        while folder != self.root and folder.is_dir():
            try:
                folder.rmdir()
            except OSError:  # not empty
                return
            folder = folder.parent
