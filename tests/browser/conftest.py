"""A real Chromium against a real server over the small home. `KHUNG_CHROMIUM` names another browser file."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from khung.api.app import create_app
from khung.settings import ContestSettings, Settings
from tests.contest.dres_server import DresServer
from tests.support.served import served
from tests.support.small_home import ColourEmbedder, build

expect.set_options(timeout=20_000)  # ms; a machine under load is slow, not wrong
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]  # fmt: skip


@pytest.fixture(scope="session")
def chromium() -> str:
    found = os.environ.get("KHUNG_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")  # fmt: skip
    if not found:
        pytest.fail("No Chromium. Install it (Debian: apt-get install chromium) or name one in KHUNG_CHROMIUM.")
    return found


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """Ends with its module: Playwright keeps an event loop running in the thread, where async tests could not run theirs."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory, clips: Path) -> Settings:
    return build(tmp_path_factory.mktemp("home"), clips)


@pytest.fixture(scope="session")
def site(home: Settings) -> Iterator[str]:
    """The address of a running server."""
    with served(create_app(home, embedder=ColourEmbedder())) as address:
        yield address


@pytest.fixture
def context(browser: Browser, site: str) -> Iterator[BrowserContext]:
    context = browser.new_context(
        base_url=site,
        locale="vi-VN",
        viewport={"width": 1400, "height": 900},
        permissions=["clipboard-read", "clipboard-write"],
    )
    context.set_default_timeout(20_000)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page on which no script may fail and nothing may be refused by the content policy."""
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(f"script: {error}"))
    page.on(
        "console", lambda message: wrong.append(message.text) if "Content Security Policy" in message.text else None
    )
    yield page
    assert wrong == []


@pytest.fixture(scope="module")
def dres() -> Iterator[DresServer]:
    server = DresServer()
    with server.served():
        yield server


@pytest.fixture
def arena(home, dres) -> Iterator[str]:
    """A khung at the contest, with an empty list."""
    dres.reset()
    dres.items |= {"googlework_short", "cockatoo_cc0"}
    home.contest_path.unlink(missing_ok=True)
    mine = home.model_copy(update={"contest": ContestSettings(server=dres.address)})
    with served(create_app(mine, embedder=ColourEmbedder())) as address:
        yield address
    assert dres.mistakes == []
