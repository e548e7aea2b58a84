"""What strangers write is only text, and everyone can use the screens: XSS attempts and axe-core."""

import pytest
from playwright.sync_api import Page, expect

from tests.support.screen import check_with_axe
from tests.support.small_home import ATTACK, ATTACK_NAME

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    "url",
    [
        "/",
        "/library",
        "/library?name=%22%3E%3Cscript%3Edocument.title%3D'owned'%3C/script%3E",
        "/library?state=%3Cscript%3Edocument.title%3D'owned'%3C/script%3E",
        "/docs",
        "/video/nasa_13013",
        "/?q=nói chuyện",
        "/?q=nói chuyện&frame=googlework_short/845",
        "/?q=%3Cscript%3Edocument.title%3D'owned'%3C/script%3E",
        "/?q=%22onfocus%3D%22document.title%3D'owned'%22 autofocus%3D%22",
        "/?q=x&like=%22%3E%3Cscript%3Edocument.title%3D'owned'%3C/script%3E",
        "/?q=x&object=%3Cimg src%3Dx onerror%3Ddocument.title%3D'owned'%3E",
        "/?q=x&ui=%22%3E%3Cscript%3Edocument.title%3D'owned'%3C/script%3E",
        "/frame/nobody%22%3E%3Cscript%3Edocument.title%3D'owned'%3C%2Fscript%3E/1",
    ],
)
def test_nothing_written_by_strangers_runs(page: Page, url):
    page.goto(url)
    page.wait_for_load_state("networkidle")
    assert page.title() != "owned"
    assert page.locator("img[onerror], [onfocus]").count() == 0
    assert page.evaluate("[...document.scripts].filter((s) => !s.src && s.type !== 'application/json').length") == 0


def test_captions_and_screen_text_are_shown_as_written(page: Page):
    page.goto("/?q=nói chuyện")
    card = page.locator(".card", has_text="<script>").first
    expect(card).to_contain_text("<img src=x onerror=")
    card.locator(".shot").click()
    panel = page.locator("#panel")
    expect(panel.locator(".lines")).to_contain_text(ATTACK)
    expect(panel.locator(".told")).to_contain_text("document.title='owned'")
    assert page.title() != "owned"


def test_a_file_s_name_is_shown_as_written(page: Page):
    page.goto("/video/nasa_13013")
    expect(page.get_by_role("heading", level=1)).to_have_text(ATTACK_NAME)
    page.goto("/library?ui=en")
    expect(page.locator("#videos")).to_contain_text(ATTACK_NAME)
    expect(page.locator("#videos")).to_contain_text(ATTACK)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "url",
    [
        "/",
        "/?q=văn phòng&then=nói chuyện",
        "/?q=người&group=video&object=person",
        "/frame/old_clip/0",
        "/?q=con voi&object=elephant",
        "/?q=người mặc áo xanh",
        "/library",
        "/library?state=failed",
        "/video/googlework_short",
        "/docs",
        "/frame/nobody/1",
    ],
)
def test_axe_finds_nothing_serious(page: Page, url, scheme):
    page.emulate_media(color_scheme=scheme)
    page.goto(url)
    check_with_axe(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_panel_and_dialogs(page: Page, scheme):
    page.emulate_media(color_scheme=scheme)
    page.goto('/?q=văn phòng "google"&then=người')
    page.locator(".card .shot").first.click()
    expect(page.locator("#panel #frame")).to_be_visible()
    page.locator(".card").nth(1).get_by_text("Vì sao?").click()
    check_with_axe(page)
    page.get_by_role("button", name="Phím tắt").click()
    check_with_axe(page)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Đã tìm gần đây").click()
    check_with_axe(page)


def test_axe_finds_nothing_serious_on_a_small_screen(page: Page):
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto("/?q=văn phòng&object=person")
    check_with_axe(page)
    page.locator(".facets summary").first.click()
    page.locator(".card .shot").first.click()
    expect(page.locator("#panel #frame")).to_be_visible()
    check_with_axe(page)
