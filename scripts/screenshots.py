"""Makes the screen's pictures in docs/images, light and dark, from the demo's library.

.venv/bin/python scripts/screenshots.py [HOME]     (after `make demo SERVE=0`; needs the test extras and a Chromium)
"""

import io
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from khung.api.app import create_app  # noqa: E402
from khung.settings import ContestSettings, Settings  # noqa: E402
from tests.contest.dres_server import DresServer  # noqa: E402
from tests.support.served import served  # noqa: E402


def open_first(page: Page) -> None:
    page.locator(".card .shot").first.click()
    page.locator("#panel #frame").wait_for()
    page.wait_for_timeout(2500)  # the player comes to the moment; nobody tests here


def log_in_and_check(page: Page) -> None:
    page.get_by_label("User name").fill("thi")
    page.get_by_label("Password").fill("bí mật")
    page.get_by_role("button", name="Log in").click()
    page.locator("[data-username]", has_text="thi").wait_for()
    page.goto(page.url.replace("/contest", "/?q=a person on a street"))
    open_first(page)
    page.keyboard.press("Shift+S")
    page.locator(".draft").wait_for()
    page.locator(".draft").scroll_into_view_if_needed()


SHOTS: dict[str, tuple[str, str, Callable[[Page], None] | None]] = {  # name → address, language, what to do first
    "home": ("/", "vi", None),
    "results": ("/?q=người đi bộ trên phố trong 30 giây đầu", "vi", None),
    "then": ("/?q=đường phố&then=người trong nhà", "vi", None),
    "panel": ("/?q=a bicycle in the street", "en", open_first),
    "library": ("/library", "vi", None),
    "contest": ("/contest", "en", log_in_and_check),
}


def take(browser: Browser, site: str, name: str, scheme: str) -> None:
    address, language, prepare = SHOTS[name]
    locale = {"vi": "vi-VN", "en": "en-US"}[language]
    page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme=scheme, locale=locale)
    page.goto(site + address)
    if prepare:
        prepare(page)
    page.wait_for_timeout(800)
    picture = Image.open(io.BytesIO(page.screenshot()))
    picture.save(ROOT / "docs" / "images" / f"search-{name}-{scheme}.webp", quality=82, method=6)
    page.close()


def main() -> None:
    home = Path(sys.argv[1]) if sys.argv[1:] else ROOT / ".khung"
    dres = DresServer()
    dres.task_id = f"rehearsal-{time.time_ns()}"  # its list is empty in whatever home
    chromium = os.environ.get("KHUNG_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright, dres.served() as address:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        settings = Settings(home=home)
        rooms = {"": settings, "contest": settings.model_copy(update={"contest": ContestSettings(server=address)})}
        for room, mine in rooms.items():
            with served(create_app(mine)) as site:
                browser.new_page().goto(f"{site}/?q=khung")  # the encoder is loaded before a time is shown
                for name in SHOTS:
                    for scheme in ("light", "dark") if (name == "contest") == bool(room) else ():
                        take(browser, site, name, scheme)
        browser.close()


if __name__ == "__main__":
    main()
