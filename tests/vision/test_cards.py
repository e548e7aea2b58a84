"""Cards of the large models: pulled from a real local hub, pinned by a note, checked against it."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from khung.errors import ConfigError, ModelFileMissing
from khung.vision import cards
from khung.vision.checkpoint import NOTE, Checkpoint

pytestmark = pytest.mark.torch  # huggingface_hub comes with transformers

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "config.json": b'{"model_type": "siglip"}',
    "model.safetensors": bytes(range(256)) * 5000,
    "tokenizer.json": b"{}",
    "modeling_evil.py": b"raise SystemExit('code of a hub must never be fetched')",
    "pytorch_model.bin": b"pickle",
    "onnx/model.safetensors": b"another export",
}


class Hub(ThreadingHTTPServer):
    """As much of the hub's protocol as a download needs."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.broken = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        if self.path.startswith("/api/models/"):
            siblings = [{"rfilename": name, "size": len(data)} for name, data in FILES.items()]
            return self._send(json.dumps({"id": "google/siglip2-base-patch16-256", "sha": COMMIT, "siblings": siblings}).encode(), with_body)  # fmt: skip
        name = self.path.split(f"/resolve/{COMMIT}/")[-1]
        if name == self.server.broken or name not in FILES:
            return self.send_error(404 if name not in FILES else 403)
        self._send(FILES[name], with_body, hashlib.sha256(FILES[name]).hexdigest())

    def _send(self, body: bytes, with_body: bool, etag: str = "x") -> None:
        self.send_response(200)
        for key, value in (("Content-Length", len(body)), ("ETag", f'"{etag}"'), ("X-Repo-Commit", COMMIT)):
            self.send_header(key, str(value))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def hub():
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_pull_brings_the_data_and_pins_the_commit(hub, tmp_path):
    told: list[tuple[int, int, str]] = []
    folder = cards.pull("siglip2-base", tmp_path, endpoint=hub.url, progress=lambda *row: told.append(row))
    assert {p.name for p in folder.iterdir() if p.is_file()} == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        NOTE,
    }
    assert (folder / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    assert told[-1][0] == told[-1][1]
    status = cards.check("siglip2-base", tmp_path)
    assert (status.state, status.revision) == ("ok", COMMIT)
    assert Checkpoint("siglip2-base", folder).revision == COMMIT


def test_a_second_pull_downloads_nothing_again(hub, tmp_path):
    cards.pull("siglip2-base", tmp_path, endpoint=hub.url)
    hub.asked.clear()
    cards.pull("siglip2-base", tmp_path, endpoint=hub.url)
    assert not [line for line in hub.asked if line.startswith("GET") and "/resolve/" in line]


def test_a_pull_that_failed_leaves_no_note_and_goes_on_later(hub, tmp_path):
    hub.broken = "model.safetensors"
    with pytest.raises(ModelFileMissing, match=r"siglip2-base.*khung models pull siglip2-base"):
        cards.pull("siglip2-base", tmp_path, endpoint=hub.url)
    assert not (tmp_path / "siglip2-base" / NOTE).exists()
    hub.broken = ""
    cards.pull("siglip2-base", tmp_path, endpoint=hub.url)
    assert cards.check("siglip2-base", tmp_path).state == "ok"


def test_no_hub_names_the_cure(tmp_path):
    with pytest.raises(ModelFileMissing, match="HF_ENDPOINT"):
        cards.pull("gme-2b", tmp_path, endpoint="http://127.0.0.1:9")


def test_a_spoilt_or_missing_file_is_seen(hub, tmp_path):
    folder = cards.pull("siglip2-base", tmp_path, endpoint=hub.url)
    data = bytearray(FILES["model.safetensors"])
    data[1000] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    assert cards.check("siglip2-base", tmp_path).state == "wrong"
    assert cards.check("siglip2-base", tmp_path, thorough=False).state == "ok"
    (folder / "tokenizer.json").unlink()
    assert cards.check("siglip2-base", tmp_path).state in {"incomplete", "wrong"}


def test_a_folder_of_ones_own_is_unpinned(tmp_path):
    folder = tmp_path / "gme-2b"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    assert cards.check("gme-2b", tmp_path).state == "unpinned"
    assert {s.card.name: s.state for s in cards.listing(tmp_path)}["gme-7b"] == "missing"


def test_an_unknown_name_lists_the_known_ones(tmp_path):
    with pytest.raises(ConfigError, match="gme-2b"):
        cards.pull("gme-3b", tmp_path)


def test_memory_follows_the_numbers_kept():
    seven = cards.card("gme-7b")
    assert seven.memory_bytes("bfloat16") == 2 * seven.parameters
    assert seven.memory_bytes("float32") == 4 * seven.parameters
    assert seven.memory_bytes(quantisation="nf4") < seven.memory_bytes("bfloat16") * 0.5
