"""What the browser tests share: asking, and waiting for what the page says of itself."""

import hashlib
import json
import time
from functools import cache
from pathlib import Path

from playwright.sync_api import Page, expect

AXE = Path(__file__).parent.parent / "browser" / "vendor" / "axe.min.js"
AXE_SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"


def ask(page: Page, text: str) -> None:
    page.fill("#ask input[name=q]", text)
    page.press("#ask input[name=q]", "Enter")
    expect(page.locator("#count")).to_be_visible()


def log_in(page: Page, arena: str) -> None:
    """At the contest's server, through the page."""
    page.goto(f"{arena}/contest")
    page.get_by_label("Tên đăng nhập").fill("thi")
    page.get_by_label("Mật khẩu").fill("bí mật")
    page.get_by_role("button", name="Đăng nhập").click()
    expect(page.locator("[data-username]")).to_have_text("thi")


def until(page: Page, condition: str, arg: object = None, seconds: float = 60) -> None:
    """Asks through the debugger again and again: the page's policy forbids Playwright's own way of waiting."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(condition, arg):
        assert time.monotonic() < deadline, condition
        page.wait_for_timeout(50)


def settled(page: Page) -> None:
    until(page, "!document.body.classList.contains('busy')")


SHIFT = """() => new Promise((resolve) => {
    let sum = 0;
    new PerformanceObserver((list) => list.getEntries().forEach((e) => e.hadRecentInput || (sum += e.value)))
        .observe({ type: "layout-shift", buffered: true });
    setTimeout(() => resolve(sum), 800);
})"""
"""The layout shift of the page so far: what moved without anybody's doing."""


def check_with_axe(page: Page) -> None:
    """axe-core finds nothing serious or critical in what the page shows now."""
    page.evaluate(_axe())  # through the debugger: the page's own policy stays as strict as it is
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    serious = [v for v in found["violations"] if v["impact"] in ("serious", "critical")]
    told = [
        {"rule": v["id"], "nodes": [n["html"][:200] + " | " + n["failureSummary"][:300] for n in v["nodes"][:3]]}
        for v in serious
    ]
    assert told == [], json.dumps(told, indent=1, ensure_ascii=False)


@cache
def _axe() -> str:
    source = AXE.read_bytes()
    assert hashlib.sha256(source).hexdigest() == AXE_SHA256
    return source.decode()
