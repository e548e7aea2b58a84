"""What everyone needs of the screens: errors in their language, a focus that is never lost, no motion for whom it harms, 200 % zoom."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.screen import ask, check_with_axe, settled, until

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    ("address", "status", "vi", "en"),
    [
        ("/frame/nobody/1", 404, "Không có khung hình nobody/1.", "There is no frame nobody/1."),
        ("/video/nobody", 404, "Không có video nobody.", "There is no video nobody"),
        ("/nowhere", 404, "Địa chỉ này không dẫn đến đâu", "Not Found"),
        (
            "/?q=" + "x" * 1200,
            422,
            "Phần “câu hỏi” dài quá 1000 ký tự.",
            "“the question” is longer than 1000 characters.",
        ),
        ("/?q=phố&page=-1", 422, "Phần “số trang” có giá trị", "“the page number” has a value"),
        ("/?q=phố&from=<i>abc</i>", 422, "“<i>abc</i>” không phải là thời điểm.", "“<i>abc</i>” is not a time."),
        ("/?q=phố&from=0:30&to=0:10", 422, "Không có lúc nào vừa sau 0:30 vừa trước 0:10.", "No time is both after"),
        ("/?q=phố" + " rồi người" * 12, 422, "khung theo được nhiều nhất", "At most"),
    ],
)
def test_errors_are_told_in_the_language_of_the_page(page: Page, address, status, vi, en):
    for language, words in (("vi", vi), ("en", en)):
        answer = page.goto(f"{address}{'&' if '?' in address else '?'}ui={language}")
        assert answer.status == status
        expect(page.locator(".problem > p:not(.status)").first).to_contain_text(words)
    page.goto(f"{address}{'&' if '?' in address else '?'}ui=vi")
    page.locator(".english summary").click()
    expect(page.locator(".english [lang=en]")).to_be_visible()


def test_a_refused_image_is_told_in_vietnamese(page: Page, tmp_path):
    (tmp_path / "notes.png").write_text("no image")
    page.goto("/")
    page.set_input_files("[data-query-image]", tmp_path / "notes.png")
    expect(page.locator("#toast")).to_have_text(
        "Tệp này không phải ảnh mà khung đọc được. Hãy gửi ảnh JPEG, PNG hoặc WebP."
    )


def focused(page: Page, selector: str) -> None:
    until(page, "(selector) => document.activeElement.matches(selector)", selector)


def test_the_focus_is_never_lost(page: Page):
    keys = page.keyboard
    page.goto("/")
    ask(page, "người")
    settled(page)
    focused(page, "#main")
    page.locator(".facets a", has_text="máy tính xách tay").focus()
    keys.press("Enter")
    settled(page)
    focused(page, ".facets a[aria-current]")
    page.locator(".chip .remove").last.focus()
    keys.press("Enter")
    settled(page)
    focused(page, "#main")
    keys.press("ArrowRight")
    keys.press("Enter")
    expect(page.locator("#panel #frame")).to_be_visible()
    frame = page.locator("#frame").get_attribute("data-frame")
    page.locator("#panel .strip a:not([aria-current])").last.focus()
    keys.press("Enter")
    until(page, "(id) => document.getElementById('frame').dataset.frame !== id", frame)
    focused(page, "#panel .strip a[aria-current]")
    keys.press("Escape")
    expect(page.locator("#panel")).to_be_hidden()
    focused(page, ".card.current .shot")


@pytest.mark.parametrize(("key", "dialog"), [("?", "#help"), ("h", "#asked")])
def test_a_dialog_gives_the_focus_back(page: Page, key, dialog):
    page.goto("/?q=người")
    page.keyboard.press("ArrowRight")
    focused(page, ".card .shot")
    page.keyboard.press(key)
    expect(page.locator(dialog)).to_be_visible()
    for _ in range(8):  # the focus goes round within it, or to the browser's own bar
        page.keyboard.press("Tab")
        assert page.evaluate(
            "(d) => document.activeElement === document.body || document.activeElement.closest(d) !== null", dialog
        )
    page.keyboard.press("Escape")
    expect(page.locator(dialog)).to_be_hidden()
    focused(page, ".card .shot")


def test_escape_closes_the_reasons_first(page: Page):
    page.goto("/?q=người")
    why = page.locator(".card .why-box").first
    why.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(why.locator(".why")).to_be_visible()
    page.keyboard.press("Escape")
    expect(why.locator(".why")).to_be_hidden()
    focused(page, ".why-box summary")


def test_no_motion_for_whom_it_harms(page: Page):
    page.emulate_media(reduced_motion="reduce")
    page.goto("/?q=người")
    page.evaluate("document.body.classList.add('busy')")
    moving = page.evaluate(
        """() => [...document.querySelectorAll("*")].flatMap((one) => ["", "::before", "::after"].map((part) => getComputedStyle(one, part || null)))
            .filter((style) => style.animationName !== "none" || (style.transitionDuration !== "0s" && style.transitionProperty !== "none")).length"""
    )
    assert moving == 0


@pytest.mark.parametrize(
    "address", ["/", "/?q=người&then=văn phòng", "/library", "/video/googlework_short", "/frame/googlework_short/0"]
)
def test_at_200_percent_nothing_is_cut_off(browser: Browser, site, address):
    """A window of 1280 × 800 at 200 % is one of 640 × 400 points."""
    context = browser.new_context(
        base_url=site, locale="vi-VN", viewport={"width": 640, "height": 400}, device_scale_factor=2
    )
    page = context.new_page()
    page.goto(address)
    assert page.evaluate("document.documentElement.scrollWidth") <= 640
    for control in page.locator("header.top a:visible, header.top button:visible, header.top input:visible").all():
        box = control.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 640, control.evaluate("one => one.outerHTML.slice(0, 120)")
    check_with_axe(page)
    context.close()


def test_filters_and_a_long_message_fit_a_phone(page: Page, tmp_path):
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/?q=người")
    page.locator(".facets summary").first.click()
    lefts = {round(one.bounding_box()["x"]) for one in page.locator(".facets h3:visible").all()}
    assert len(lefts) == 2  # two columns
    (tmp_path / ("rất_dài_" * 8 + ".mp4")).touch()
    page.goto("/library")
    page.set_input_files("[data-drop-videos] input", next(tmp_path.iterdir()))
    row = page.locator("#uploads li")
    expect(row.locator(".failed")).to_have_text(re.compile("Tệp rỗng"))
    name, told = row.locator("strong").bounding_box(), row.locator(".failed").bounding_box()
    assert told["y"] >= name["y"] + name["height"] - 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
