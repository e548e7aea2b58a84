"""The screen in a real Chromium: first results, scrolling a thousand thumbnails, holding an arrow key; against a bare page of the same pictures.

`python -m bench screen [-- --home DIR]` makes SCREEN.md. `--home` is a khung home with real models (the demo's, by default .khung);
the thousand thumbnails come from a library of invented captions and real pictures. Numbers are of this machine; read the ratios.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Page, sync_playwright

from khung.api.app import create_app
from khung.records import Description, FrameRecord, Keyframe, Shot, Video
from khung.settings import Settings
from khung.shards.writer import SealedInput
from khung.stores.archive_local import LocalArchive
from khung.stores.library import Library
from tests.support.served import served
from tests.support.small_home import ColourEmbedder, pictures, put_in_service, read, settings_for

HERE = Path(__file__).parent
CLIPS = HERE.parent / "tests" / "data"
VIDEOS, PER_VIDEO = 50, 24
QUESTIONS = (
    "người đi bộ trên phố",
    "con vet trang",
    "a bicycle in the street",
    "văn phòng",
    "people outdoors",
    "ban ngày",
)

FIRST = """async (text) => {
    document.querySelector("#ask input[name=q]").value = text;
    const before = document.querySelector("#desk"), began = performance.now();
    document.getElementById("ask").requestSubmit();
    const painted = () => new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)));
    while (document.querySelector("#desk") === before || !document.querySelector(".card img")?.complete) await painted();
    await painted();
    return performance.now() - began;
}"""
"""From the question sent to the first thumbnail on the screen, in ms."""

WATCH = """() => {
    const seen = (window.seen = { frames: [], long: [], shift: 0 });
    new PerformanceObserver((l) => l.getEntries().forEach((e) => seen.long.push(e.duration))).observe({ type: "longtask" });
    new PerformanceObserver((l) => l.getEntries().forEach((e) => e.hadRecentInput || (seen.shift += e.value))).observe({ type: "layout-shift" });
    let last = performance.now();
    const tick = (now) => { seen.frames.push(now - last); last = now; requestAnimationFrame(tick); };
    requestAnimationFrame(tick);
}"""

SCROLL = """async () => {
    let still = 0;
    while (still < 40 || document.querySelector("a[data-more]")) {
        const before = scrollY;
        scrollBy(0, 60);
        await new Promise(requestAnimationFrame);
        still = scrollY === before ? still + 1 : 0;
    }
    return document.querySelectorAll("img").length;
}"""
"""3,600 px a second at 60 frames a second, to the end of everything; the number of pictures passed."""


@contextmanager
def big_home() -> Iterator[Settings]:
    """1,200 frames that all answer to “người”."""
    folder = Path(tempfile.mkdtemp(prefix="khung-bench-"))
    try:
        settings = settings_for(folder)
        library = Library(LocalArchive(settings.archive_dir))
        seen = [
            frame
            for clip in ("googlework_short", "cockatoo_cc0", "nasa_13013")
            for frame in read(CLIPS / f"{clip}.mp4")[0]
        ]
        put_in_service(settings, [video(library, n, [pixels for _, _, pixels in seen]) for n in range(VIDEOS)])
        yield settings
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def video(library: Library, n: int, seen: list) -> SealedInput:
    """Frames three seconds apart, each a shot of its own: nothing of it is collapsed."""
    name = f"V{n:03}"
    fields = ("mp4", "h264", 320, 180, 0, 25, 1, False, PER_VIDEO * 75, PER_VIDEO * 3000)
    film = Video(name, f"{n:064x}", f"{name}.mp4", f"videos/{name}.mp4", 1, *fields, has_audio=False)
    library.put_video(film)
    records, vectors = [], []
    for i in range(PER_VIDEO):
        pixels = seen[(n * 7 + i * 5) % len(seen)]
        for variant, data in pictures(pixels):
            if variant == "thumb.webp":
                library.put_image(name, i * 75, variant, data)
        told = Description(
            {"vi": f"Người thứ {i} trong cảnh {n} trên phố.", "en": f"Person {i} of scene {n} on a street."}
        )
        key = Keyframe(name, i * 75, i * 3000, i, 0.5, 0.2, 0.3, 0.5, hash((n, i)) & (2**63 - 1))
        records.append(FrameRecord(key, i * 3000, i * 3000 + 3000, told, ()))
        vectors.append(ColourEmbedder().embed_images([pixels])[0])
    shots = [Shot(name, i, i * 75, i * 75 + 75, i * 3000, i * 3000 + 3000) for i in range(PER_VIDEO)]
    import numpy as np

    return SealedInput(film, shots, records, np.stack(vectors))


def percent(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def first_results(page: Page, site: str) -> dict:
    page.goto(site)
    page.wait_for_load_state("networkidle")
    times, api = [], []
    for text in QUESTIONS * 3:
        page.wait_for_timeout(300)
        times.append(page.evaluate(FIRST, text))
        began = time.perf_counter()
        page.request.get(
            f"{site}/v1/search?limit={199 - len(times)}&q={quote(text)}"
        )  # another question to every cache but the encoder's
        api.append((time.perf_counter() - began) * 1000)
    fresh = times[: len(QUESTIONS)]  # asked for the first time: nothing is cached
    return {
        "first_time_p50_ms": round(statistics.median(fresh)),
        "first_time_worst_ms": round(max(fresh)),
        "again_p50_ms": round(statistics.median(times[len(QUESTIONS) :])),
        "api_alone_encoder_warm_p50_ms": round(statistics.median(api)),
    }


def scrolled(page: Page) -> dict:
    page.evaluate(WATCH)
    pictures_seen = page.evaluate(SCROLL)
    seen = page.evaluate("window.seen")
    frames = seen["frames"][1:]
    return {
        "pictures": pictures_seen,
        "frames": len(frames),
        "frame_p50_ms": round(statistics.median(frames), 1),
        "frame_p95_ms": round(percent(frames, 0.95), 1),
        "frame_worst_ms": round(max(frames)),
        "over_50_ms": sum(f > 50 for f in frames),
        "long_tasks": len(seen["long"]),
        "long_task_worst_ms": round(max(seen["long"], default=0)),
        "layout_shift": round(seen["shift"], 4),
    }


def bare_page(page: Page, site: str) -> None:
    """The reference: the same pictures in a grid of plain, lazy images; no captions, no scripts but the scrolling."""
    ids = [f"V{n:03}/{i * 75}" for n in range(VIDEOS) for i in range(PER_VIDEO)]
    images = "".join(
        f'<img loading=lazy decoding=async width=226 height=127 src="/v1/images/{one}/thumb.webp">' for one in ids
    )
    html = f"<!doctype html><meta charset=utf-8>{images}"
    page.route("**/bare", lambda route: route.fulfill(status=200, content_type="text/html", body=html))
    page.goto(f"{site}/bare")


def arrow_keys(page: Page) -> dict:
    """How long each of 60 presses of → and ↓ keeps the page busy, with all thumbnails in it."""
    spent = page.evaluate(
        """async () => {
            const spent = [];
            scrollTo(0, 0);
            document.querySelector(".card .shot").focus();
            for (let i = 0; i < 60; i++) {
                const began = performance.now();
                document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: i % 2 ? "ArrowRight" : "ArrowDown", bubbles: true }));
                spent.push(performance.now() - began);
                await new Promise(requestAnimationFrame);
            }
            return spent;
        }"""
    )
    return {"key_p50_ms": round(statistics.median(spent), 1), "key_worst_ms": round(max(spent), 1)}


def table(rows: dict[str, dict]) -> str:
    names = list(next(iter(rows.values())))
    head = (
        "| what | " + " | ".join(name.replace("_", " ") for name in names) + " |\n" + "|---" * (len(names) + 1) + "|\n"
    )
    return head + "".join(
        f"| {what} | " + " | ".join(str(row[name]) for name in names) + " |\n" for what, row in rows.items()
    )


def report(result: dict) -> str:
    demo = (
        table({"the demo's library, real models": result["demo"]})
        if result["demo"]
        else "not measured: no home with a snapshot was given.\n"
    )
    return f"""# The screen, measured

`python -m bench screen` makes this page. Headless Chromium without a GPU paints in software on the cores that also run the server;
times are of this machine and its load, so read them beside the bare page of the same run.

{result["machine"]}

## First results

From the question sent to the first thumbnail on the screen, and the same question to the HTTP API alone (as many
results; the words are encoded already). Most of the difference is the page: 200 cards rendered, parsed, laid out and painted.

{demo}
{table({f"{VIDEOS * PER_VIDEO} frames, invented captions, encoder of colours": result["big"]})}
## Scrolling to the end of {result["khung"]["pictures"]} thumbnails

60 px a frame; khung loads five further pages of 200 on the way. The reference is a page of the same pictures as plain lazy images.

{table({"khung": result["khung"], "reference: plain images": result["bare"]})}
## An arrow key among {result["khung"]["pictures"]} thumbnails

{table({"the script's time for a press": result["keys"]})}"""


def measured(home: Path) -> dict:
    with ExitStack() as stack:
        playwright = stack.enter_context(sync_playwright())
        chromium = os.environ.get("KHUNG_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1400, "height": 900}, locale="vi-VN")
        demo = None
        if (home / "ledger.sqlite").exists():
            with served(create_app(Settings(home=home))) as site:
                demo = first_results(page, site)
        settings = stack.enter_context(big_home())
        site = stack.enter_context(served(create_app(settings, embedder=ColourEmbedder())))
        big = first_results(page, site)
        bare_page(page, site)
        bare = scrolled(page)
        page.goto(f"{site}/?q=người")
        khung = scrolled(page)
        keys = arrow_keys(page)
        browser.close()
    machine = f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}."
    return {"machine": machine, "demo": demo, "big": big, "bare": bare, "khung": khung, "keys": keys}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, default=HERE.parent / ".khung")
    result = measured(parser.parse_args().home)
    (HERE / "out").mkdir(exist_ok=True)
    (HERE / "out" / "screen.json").write_text(json.dumps(result, indent=1))
    (HERE / "SCREEN.md").write_text(report(result))
    print(report(result))


if __name__ == "__main__":
    main()
