"""Weights from a model hub (Hugging Face, or a mirror by HF_ENDPOINT) into a folder, and the note that pins them.

Only data is fetched: configuration, tokenizer and safetensors, never code and never pickles. The note names the model, the commit
and every file's size and SHA-256; it is written last, so a folder with a note is whole. Which models there are is in `cards.py`.
"""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from khung.errors import ConfigError, ModelFileMissing
from khung.vision.checkpoint import NOTE

PATTERNS = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]

Progress = Callable[[int, int, str], None]
"""Called with bytes done, bytes in total, and the file that was finished."""


@dataclass(frozen=True, slots=True)
class Note:
    """What a pull brought. `files`: name → [bytes, SHA-256]."""

    model: str
    revision: str
    files: dict[str, tuple[int, str]]


def pull(
    hub_id: str,
    revision: str,
    folder: Path,
    *,
    name: str,
    endpoint: str | None = None,
    progress: Progress | None = None,
) -> Note:
    """Fetch the wanted files of one commit; what is there already is kept, what broke off is continued.

    `revision` may be a commit, a tag, a branch or "" for the newest; the note keeps the commit. Raises ModelFileMissing.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        from huggingface_hub import HfApi, hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError as error:
        raise ConfigError(
            "Pulling large models needs huggingface_hub.", cure='Run pip install -e ".[vlm]" in the checkout.'
        ) from error
    unreachable = HfHubHTTPError.__bases__[0]  # the HTTPError of the client library that huggingface_hub uses
    try:
        info = HfApi(endpoint=endpoint).model_info(hub_id, revision=revision or None, files_metadata=True)
        files = _wanted(info.siblings or [])
        total, done = sum(files.values()), 0
        for file, size in files.items():
            hf_hub_download(hub_id, file, revision=info.sha, local_dir=folder, endpoint=endpoint)
            done += size
            if progress:
                progress(done, total, file)
    except (unreachable, LocalEntryNotFoundError, OSError) as error:
        raise ModelFileMissing(
            f"Could not fetch {name} ({hub_id}): {str(error).splitlines()[0]}",
            cure=f"Check the network, HF_ENDPOINT if you use a mirror and HF_TOKEN if the model asks for it, and run "
            f"`khung models pull {name}` again: what was fetched is kept. Or put the files into {folder}.",
        ) from error
    note = Note(hub_id, str(info.sha), {file: (size, _sha256(folder / file)) for file, size in files.items()})
    _write(folder / NOTE, json.dumps(asdict(note), indent=1))
    return note


def read_note(folder: Path) -> Note:
    raw = json.loads((folder / NOTE).read_text(encoding="utf-8"))
    return Note(
        raw["model"], raw["revision"], {name: (size, sha) for name, (size, sha) in raw.get("files", {}).items()}
    )


def compare(folder: Path, note: Note, *, thorough: bool) -> Literal["ok", "incomplete", "wrong"]:
    """The folder against its note."""
    for name, (size, sha256) in note.files.items():
        path = folder / name
        if not path.is_file():
            return "incomplete"
        if path.stat().st_size != size or (thorough and _sha256(path) != sha256):
            return "wrong"
    return "ok"


def _wanted(siblings: list[Any]) -> dict[str, int]:
    """Name → bytes of the files at the top of the repository that are data."""
    from fnmatch import fnmatch

    names = {s.rfilename: int(s.size or 0) for s in siblings}
    return {n: size for n, size in sorted(names.items()) if "/" not in n and any(fnmatch(n, p) for p in PATTERNS)}


def _write(path: Path, text: str) -> None:
    beside = path.with_suffix(".part")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
