"""Uploads into the inbox folder that the pipeline watches: written beside as `.part`, renamed when whole, which they say of themselves.

Nothing here opens a video: what a file is, the pipeline finds out in its sandbox and tells in the ledger.
"""

import contextlib
import os
import re
import secrets
import time
import unicodedata
from collections.abc import AsyncIterator
from pathlib import Path

import anyio

from khung.errors import MediaError, StoreError
from khung.stores.whole import say_whole

EXTENSIONS = frozenset(
    [
        ".mp4",
        ".m4v",
        ".mov",
        ".mkv",
        ".webm",
        ".avi",
        ".mpg",
        ".mpeg",
        ".ts",
        ".mts",
        ".m2ts",
        ".wmv",
        ".flv",
        ".3gp",
        ".ogv",
    ]
)
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]+')
_BROKEN_OFF_S = 86_400.0
_SPARE = 256 * 2**20  # bytes of disk that an upload leaves free


def safe_name(name: str) -> str:
    """The last part of a stranger's path as a plain file name. Raises MediaError `bad_name`, `not_a_video`."""
    name = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    name = _FORBIDDEN.sub("_", "".join(c for c in name if unicodedata.category(c) not in ("Cc", "Cf", "Cs"))).strip(
        ". "
    )
    stem, dot, extension = name.rpartition(".")
    if not stem or f".{extension.lower()}" not in EXTENSIONS:
        cure = f"Send one of {', '.join(sorted(EXTENSIONS))}."
        raise MediaError("not_a_video", "The file's name does not end like a video's.", cure=cure)
    return _shortened(stem, 180) + dot + extension.lower()


def _shortened(stem: str, limit: int) -> str:
    """At most `limit` bytes of UTF-8, whole characters: file systems count bytes."""
    return stem.encode()[:limit].decode(errors="ignore").strip(". ") or "video"


class Inbox:
    """The folder `folder`; one upload is at most `max_bytes`."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self._max_bytes = max_bytes

    def files(self) -> list[str]:
        """Names of the whole files, in order, taken by the pipeline or not: it leaves them where they are. A symbolic link is none: it could
        lead anywhere."""
        if not self.folder.is_dir():
            return []
        with os.scandir(self.folder) as found:
            files = [one.name for one in found if one.is_file(follow_symlinks=False)]
        return sorted(name for name in files if Path(name).suffix.lower() in EXTENSIONS)

    def forget_broken_off(self) -> None:
        """Delete what is left of uploads whose server died, a day later: others may be writing theirs right now."""
        for part in self.folder.glob(".*.part"):
            with contextlib.suppress(FileNotFoundError):  # another server was first
                if time.time() - part.stat().st_mtime > _BROKEN_OFF_S:
                    part.unlink()

    async def receive(self, name: str, chunks: AsyncIterator[bytes]) -> str:
        """Keep the bytes under a free name like `name`, which is returned. Raises MediaError, StoreError; then nothing stays."""
        name = safe_name(name)
        self.folder.mkdir(parents=True, exist_ok=True)
        part = self.folder / f".{secrets.token_hex(8)}.part"
        try:
            await self._write(part, chunks)
            return await anyio.to_thread.run_sync(self._settle, part, name)
        except ConnectionError:
            raise  # the sender went away; the disk is not to blame
        except OSError as error:
            lost = StoreError(f"The upload could not be written: {error.strerror}.", cure="Free some disk space.")
            raise lost.known_as("upload_not_written", why=error.strerror) from error
        finally:
            part.unlink(missing_ok=True)

    async def _write(self, part: Path, chunks: AsyncIterator[bytes]) -> None:
        size = 0
        async with await anyio.open_file(part, "wb") as out:
            async for chunk in chunks:
                size += len(chunk)
                self._check_room(size)
                await out.write(chunk)
            await out.flush()
            await anyio.to_thread.run_sync(os.fsync, out.fileno())
        if size == 0:
            raise MediaError("empty_file", "The file is empty.", cure="Send it again.")

    def _check_room(self, size: int) -> None:
        if size > self._max_bytes:
            raise MediaError("too_large", f"The file is larger than {self._max_bytes / 2**30:.3g} GiB.")
        disk = os.statvfs(self.folder)
        if disk.f_bavail * disk.f_frsize < _SPARE:
            raise StoreError("The disk is nearly full.", cure="Free some disk space.").known_as("disk_full")

    def _settle(self, part: Path, name: str) -> str:
        """Give the part its name; `os.link` fails where the name is taken, so no upload replaces another."""
        say_whole(part)
        stem, dot, extension = name.rpartition(".")
        for number in range(1, 1000):
            free = name if number == 1 else f"{stem} ({number}){dot}{extension}"
            try:
                os.link(part, self.folder / free)
            except FileExistsError:
                continue
            return free
        raise StoreError(f"Too many files are called {name}.", cure="Rename the file.").known_as(
            "name_taken", name=name
        )
