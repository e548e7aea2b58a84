"""Makes the pictures of Dagster's UI in docs/images.

After `make demo SERVE=0`, with half of a video in .khung/inbox and `make dev` at work until that has failed:
.venv/bin/python scripts/pipeline_pictures.py [ADDRESS]     (needs the test extras and a Chromium)
"""

import io
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

IMAGES = Path(__file__).parent.parent / "docs" / "images"
VIDEO = "googlework_short"


def show_markdown(page: Page) -> None:
    page.get_by_text("[Show Markdown]").first.click()
    page.locator("[role=dialog] img").first.wait_for()


def unfold_groups(page: Page) -> None:
    page.get_by_text("Hide navigation").click()
    page.get_by_placeholder("Jump to…").locator("xpath=following::button[1]").click()
    page.wait_for_timeout(800)
    page.keyboard.press("Alt+e")


def ask_to_launch(page: Page) -> None:
    page.get_by_text("Materialize…").first.click()
    page.get_by_text("Launch backfill").wait_for()


PICTURES: dict[
    str, tuple[str, tuple[int, int], Callable[[Page], None] | None]
] = {  # name → address, size, what to do first
    "lineage": ("/asset-groups", (1040, 1240), unfold_groups),
    "partitions": (f"/assets/keyframes?view=partitions&partition={VIDEO}", (1280, 720), None),
    "contact-sheet": (f"/assets/keyframes?view=partitions&partition={VIDEO}", (1280, 860), show_markdown),
    "timeline": (f"/assets/shots?view=partitions&partition={VIDEO}", (1280, 760), show_markdown),
    "failure": ("/assets/videos?view=events&partition=broken_half", (1240, 600), None),
    "launch": ("/assets/embeddings", (1280, 760), ask_to_launch),
    "runs": ("/runs", (1480, 760), None),
}


def main() -> None:
    site = sys.argv[1] if sys.argv[1:] else "http://127.0.0.1:3000"
    chromium = os.environ.get("KHUNG_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for name, (address, (width, height), prepare) in PICTURES.items():
            page = browser.new_page(viewport={"width": width, "height": height})
            page.add_init_script("localStorage.setItem('asset-graph-direction', '\"vertical\"')")  # fits a page of text
            page.goto(site + address)
            page.wait_for_timeout(5000)  # the UI asks for its parts one after the other; nobody tests here
            if prepare:
                prepare(page)
            page.wait_for_timeout(3000)
            picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(256)
            picture.save(IMAGES / f"dagster-{name}.png", optimize=True)
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
