"""`khung doctor`: looks at the machine and the library, says what is missing and the one command that cures it."""

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import typer

from khung.cli.interpreter import is_optimised
from khung.cli.show import Json, out, print_json
from khung.errors import KhungError
from khung.settings import Settings, settings, variables

FREE_BYTES_WANTED = 5 * 2**30
NO_SETTINGS = ("KHUNG_TEST_", "KHUNG_BENCH_", "KHUNG_CHROMIUM", "KHUNG_TRANSNET_PACKAGE")
"""What tests and benchmarks read."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found. `state`: ok, note (works, but worth knowing) or missing."""

    what: str
    state: str
    detail: str
    cure: str = ""


def doctor(json: Json = False) -> None:
    """Check everything khung needs; exit code 1 if something is missing."""
    config = settings()
    findings = [finding for look in LOOKS for finding in look(config)]
    if json:
        print_json(findings)
    else:
        _show(findings)
    if any(f.state == "missing" for f in findings):
        raise typer.Exit(1)


def _show(findings: list[Finding]) -> None:
    marks = {"ok": "[green]✓[/]", "note": "[yellow]![/]", "missing": "[red]✗[/]"}
    for f in findings:
        out.print(f"{marks[f.state]} [bold]{f.what}[/]  {f.detail}")
        if f.cure:
            out.print(f"    → {f.cure}")


def look_at_python(_: Settings) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    told = f"{version} on {sys.platform}, {os.cpu_count()} cores"
    if is_optimised():
        yield Finding("Python", "ok", told)
    else:
        told += "; built without optimisations: a search takes a third longer than it need"
        cure = "remove .venv, and make it with another, your distribution's for one: make demo PYTHON=/usr/bin/python3"
        yield Finding("Python", "note", told, cure)


def look_at_settings(_: Settings) -> Iterator[Finding]:
    """A mistyped name is read by nobody, and nobody says so."""
    ours = [name for name in os.environ if name.upper().startswith("KHUNG_") and not name.startswith(NO_SETTINGS)]
    unknown = sorted(name for name in ours if name.upper() not in variables())
    if unknown:
        cure = "docs/settings.md has every name"
        yield Finding("settings", "note", f"nothing reads {', '.join(unknown)}", cure)


def look_at_packages(_: Settings) -> Iterator[Finding]:
    needed = (
        "av",
        "cv2",
        "openvino",
        "faiss",
        "tantivy",
        "duckdb",
        "pyarrow",
        "scenedetect",
        "tesserocr",
        "tokenizers",
    )
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        yield Finding(
            "packages", "missing", "not installed: " + ", ".join(missing), "in the checkout: make demo SERVE=0"
        )
    else:
        yield Finding("packages", "ok", f"all {len(needed)} libraries are installed")
    if importlib.util.find_spec("dagster") and importlib.util.find_spec("orchestration"):
        yield Finding("pipeline", "ok", "Dagster and the kitchen are installed")
    else:
        yield Finding(
            "pipeline",
            "note",
            "only search works here: Dagster or the kitchen's folders are missing",
            "in a checkout: make demo SERVE=0",
        )


def look_at_models(config: Settings) -> Iterator[Finding]:
    from khung.vision import files

    missing = [status.file.name for status in files.check(config.models_path) if status.state != "ok"]
    if missing:
        yield Finding("models", "missing", f"not in {config.models_path}: {', '.join(missing)}", "khung models pull")
    else:
        yield Finding("models", "ok", f"{len(files.FILES)} files in {config.models_path}")


def look_at_large_models(config: Settings) -> Iterator[Finding]:
    """Only those that the settings choose."""
    from khung.cli.models import chosen_cards
    from khung.vision import cards

    if not (names := chosen_cards(config)):
        return
    states = {name: cards.check(name, config.models_path, thorough=False).state for name in names}
    if bad := [name for name, state in states.items() if state not in ("ok", "unpinned")]:
        said = ", ".join(f"{name} is {states[name]}" for name in bad)
        yield Finding("large models", "missing", said, f"khung models pull {' '.join(bad)}")
    else:
        yield Finding("large models", "ok", ", ".join(names))
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("transformers") is None:
        yield Finding("torch", "missing", "large models need it", "see docs/how-to/gpu.md")


def look_at_home(config: Settings) -> Iterator[Finding]:
    parent = next(p for p in (config.home, *config.home.absolute().parents) if p.exists())
    if not parent.is_dir():
        yield Finding("home", "missing", f"{parent} is no folder", "set KHUNG_HOME to a folder of yours")
        return
    if not os.access(parent, os.W_OK):
        yield Finding("home", "missing", f"{parent} cannot be written", "set KHUNG_HOME to a folder of yours")
        return
    free = shutil.disk_usage(parent).free
    state = "ok" if free >= FREE_BYTES_WANTED else "note"
    cure = "" if state == "ok" else "free some space, or set KHUNG_HOME to another disk"
    yield Finding("home", state, f"{config.home.absolute()}, {free / 2**30:.1f} GiB free", cure)


def look_at_services(config: Settings) -> Iterator[Finding]:
    """Each server that the settings name, asked something small."""
    from urllib.parse import urlsplit

    from khung.stores.open import open_archive, open_database, open_shared_cache, open_text_indexes

    stores = config.stores
    looks: tuple[tuple[str, str, Callable[[], str]], ...] = (
        ("PostgreSQL", stores.postgres_url, lambda: _with(open_database(config), "the schema is up to date")),
        ("S3", stores.archive_url, lambda: _with(open_archive(config), "the bucket is there")),
        (
            "OpenSearch",
            stores.opensearch_url,
            lambda: f"{len(open_text_indexes(config).snapshots())} snapshots' indexes",
        ),
    )
    for name, url, look in looks:
        if not url:
            continue
        where = urlsplit(url).hostname
        try:
            yield Finding(name, "ok", f"at {where}: {look()}")
        except KhungError as error:
            yield Finding(name, "missing", f"at {where}: {error.message}", error.cure)
    if cache := open_shared_cache(config):
        cache.put("doctor", b"well", ttl_s=10)
        answers = cache.get("doctor") == b"well"
        said = "answers" if answers else "does not answer: every look-up is a miss"
        yield Finding("Redis", "ok" if answers else "note", f"at {urlsplit(stores.redis_url).hostname}: {said}")


def _with(_: object, said: str) -> str:
    return said


def look_at_library(config: Settings) -> Iterator[Finding]:
    from khung.shards.shelf import open_shelf

    shelf = open_shelf(config)
    try:
        snapshot_id = shelf.follow()
    except KhungError as error:
        yield Finding("library", "missing", error.message, error.cure)
        return
    if snapshot_id is None:
        yield Finding("library", "note", "empty: nothing has been published", "khung ingest VIDEO…")
        return
    try:
        snapshot = shelf.open(snapshot_id)
    except KhungError as error:
        yield Finding("library", "missing", f"snapshot {snapshot_id} cannot be opened: {error.message}", error.cure)
        return
    frames, videos = len(snapshot.records), len(snapshot.records.videos())
    spaces = [snapshot.fingerprint, *snapshot.others]
    snapshot.close()
    yield Finding("library", "ok", f"snapshot {snapshot_id}: {videos} videos, {frames} keyframes")
    if not frames:
        return
    for fingerprint in spaces:
        yield _asked(config, fingerprint)


def _asked(config: Settings, fingerprint: str) -> Finding:
    """Can a question be put to the vectors of that model, here or by a server?"""
    from khung.vision.encoders import load_encoder

    try:
        load_encoder(config, fingerprint).embed_texts(["khung"])
    except KhungError as error:
        return Finding("query encoder", "missing", error.message, error.cure)
    return Finding("query encoder", "ok", fingerprint)


LOOKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    look_at_python,
    look_at_settings,
    look_at_packages,
    look_at_models,
    look_at_large_models,
    look_at_home,
    look_at_services,
    look_at_library,
)
