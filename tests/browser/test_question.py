"""The question and its answer in a real browser: how it was understood, what is shown of each frame, more and more results."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from khung.api import pagestate, screens
from khung.api.app import create_app
from khung.errors import ModelError
from tests.support.screen import SHIFT, ask, settled, until
from tests.support.served import served
from tests.support.slow_line import slow_line
from tests.support.small_home import ColourEmbedder

pytestmark = pytest.mark.browser


def test_another_reading_is_a_click_away(page: Page):
    page.goto("/?q=người mặc áo xanh không có ô tô")
    blue = page.locator(".chip", has_text="Màu")
    blue.get_by_role("link", name="hoặc xanh lá").click()
    settled(page)
    expect(page.locator("#ask input[name=q]")).to_have_value("người mặc áo xanh lá không có ô tô")
    expect(page.locator(".chip.without")).to_contain_text("không có ô tô")
    page.goto("/?q=xe dap roi van phong")
    page.locator(".chip.then").get_by_role("link", name="hoặc rơi").click()
    settled(page)
    expect(page.locator(".chip.then")).to_have_count(0)


def test_further_scenes_have_chips_too(page: Page):
    page.goto("/?q=người&then=văn phòng&then=ba người trong video")
    chip = page.locator(".chip", has_text="Cảnh 3")
    expect(chip).to_contain_text("người = 3")
    chip.locator(".remove").click()
    settled(page)
    expect(page.locator(".chip", has_text="Cảnh 3 · số lượng")).to_have_count(0)
    steps = page.locator("#steps .step:visible input")
    expect(steps.nth(0)).to_have_value("văn phòng")
    expect(steps.nth(1)).to_have_value(re.compile("người"))


def test_three_boxes_by_keys(page: Page):
    page.goto("/")
    keys = page.keyboard
    keys.press("/")
    keys.type("phố")
    keys.press("Escape")
    for text in ("văn phòng", "nói chuyện"):
        keys.press("t")
        keys.type(text)
        keys.press("Escape")
    keys.press("/")
    keys.press("Enter")
    expect(page.locator(".chain").first.locator("li")).to_have_count(2)
    page.get_by_role("button", name="Bỏ cảnh này").first.click()
    expect(page.locator("#steps .step:visible")).to_have_count(1)


def test_words_on_the_screen_are_lit(page: Page):
    page.goto('/?q="rue de londres"')
    expect(page.locator(".card").first.locator(".seen mark")).to_have_text(["RUE", "DE", "LONDRES"])
    page.locator(".card .shot").first.click()
    expect(page.locator("#panel .lines mark").first).to_have_text("RUE")


def test_recent_questions_by_keys(page: Page):
    page.goto("/?q=phố&then=văn phòng")
    ask(page, "con vẹt")
    settled(page)
    page.locator("#main").focus()
    page.keyboard.press("h")
    asked = page.locator("#asked li")
    expect(asked).to_have_text(["con vẹt rồi văn phòng", "phố rồi văn phòng"])
    expect(asked.first.locator("a")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#ask input[name=q]")).to_have_value("phố")
    expect(page.locator("#asked")).to_be_hidden()
    assert page.locator("#history option").count() == 2
    page.get_by_role("button", name="Đã tìm gần đây").click()
    page.get_by_role("button", name="Quên hết").click()
    page.reload()
    expect(page.locator("#history option")).to_have_count(1)  # what stands in the address is asked anew


def test_history_survives_what_others_stored(page: Page):
    page.goto("/")
    page.evaluate("localStorage.setItem('questions', '{\"q\": 1}')")
    page.goto("/?q=phố")
    page.keyboard.press("h")
    expect(page.locator("#asked li")).to_have_text(["phố"])


@pytest.fixture
def small_pages(monkeypatch) -> None:
    for module in (screens, pagestate):
        monkeypatch.setattr(module, "PAGE_SIZE", 8)
    monkeypatch.setattr(pagestate, "PER_GROUP", 2)


def test_more_results_come_before_the_end_is_seen(page: Page, small_pages):
    page.goto("/?q=người")
    until(page, "document.querySelectorAll('.card').length > 8")
    until(page, "!document.querySelector('a[data-more]')")
    frames = page.eval_on_selector_all(".card", "all => all.map((one) => one.dataset.frame)")
    assert len(frames) == len(set(frames)) > 16
    expect(page.locator("#count")).to_contain_text(f"{len(frames)} khung hình trong")
    page.keyboard.press("ArrowRight")
    for _ in range(len(frames) - 1):
        page.keyboard.press("ArrowRight")
    expect(page.locator(".card.current")).to_have_attribute("data-frame", frames[-1])
    page.keyboard.press("Enter")
    expect(page.locator(f"#panel #frame[data-frame='{frames[-1]}']")).to_be_visible()


def test_more_results_without_a_network_leave_the_link(page: Page, small_pages):
    page.route(re.compile("page=2"), lambda route: route.abort())
    page.goto("/?q=người")
    expect(page.locator("a[data-more]")).to_be_visible()
    page.wait_for_load_state("networkidle")
    expect(page.locator(".card")).to_have_count(8)
    expect(page.locator("a[data-more]")).to_have_attribute("href", re.compile("page=2"))


def test_a_group_shows_its_best_and_leads_to_the_rest(page: Page, small_pages):
    page.goto("/?q=người&group=video")
    group = page.locator("h2.group", has_text="googlework_short")
    group.get_by_role("link", name=re.compile("còn \\d+ khung hình nữa")).click()
    settled(page)
    assert "video=googlework_short" in page.url and "group=" not in page.url
    expect(page.locator("#ask input[name=q]")).to_have_attribute("placeholder", "tìm trong video này")
    assert page.locator(".card").count() > 2


def test_the_whole_state_lives_in_the_address(page: Page, site):
    frames = page.request.get(f"{site}/v1/videos/googlework_short").json()["frames"]
    judged = f"more={frames[20]['id']}&less={frames[0]['id']}"
    filters = "object=person&not_object=bus&place=indoor&not_video=old_clip&video=googlework_short&from=0:05&to=0:30"
    address = f"/?q=người&then=văn phòng&{filters}&{judged}&group=video&size=s"
    page.goto(address)
    chips = page.locator(".chip").all_inner_texts()
    for shown in ("trừ video", "không có", "Nơi", "giống hơn", "bớt giống", "từ 0:05", "đến 0:30"):
        assert any(shown in " ".join(chip.split()) for chip in chips), (shown, chips)
    expect(page.locator("#ask input[name=q]")).to_have_value("người")
    expect(page.locator("#steps input").first).to_have_value("văn phòng")
    expect(page.locator(".times input[name=from]")).to_have_value("0:05")
    expect(page.locator(".grid.size-s").first).to_be_attached()
    ask(page, "nhóm người")
    settled(page)
    for kept in ("then=", "place=indoor", "more=", "less=", "from=0%3A05", "group=video", "size=s"):
        assert kept in page.url
    page.go_back()
    expect(page.locator("#ask input[name=q]")).to_have_value("người")
    settled(page)
    assert page.locator(".chip").all_inner_texts() == chips


class Broken(ColourEmbedder):
    """An encoder that fails at the first question."""

    def embed_texts(self, texts):
        raise ModelError("The encoder is gone.")


@pytest.fixture
def lame(home) -> Iterator[str]:
    """A khung whose encoder fails."""
    with served(create_app(home, embedder=Broken())) as address:
        yield address


def test_a_degraded_answer_says_what_is_missing(page: Page, lame):
    page.goto(f"{lame}/?q=văn phòng&ui=en")
    expect(page.locator(".banner")).to_have_text(re.compile("Partial results: image did not answer"))
    expect(page.locator(".card").first).to_be_visible()


@pytest.mark.parametrize(("width", "height"), [(1400, 900), (390, 800)])
@pytest.mark.parametrize("url", ["/", "/?q=người", "/library", "/video/googlework_short", "/frame/googlework_short/0"])
def test_nothing_moves_by_itself(page: Page, url, width, height):
    page.set_viewport_size({"width": width, "height": height})
    page.goto(url)
    page.wait_for_load_state("networkidle")
    for _ in range(3):
        page.mouse.wheel(0, 700)
        page.wait_for_timeout(60)
    assert page.evaluate(SHIFT) < 0.02
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.fixture(scope="module")
def slow(home) -> Iterator[str]:
    """A khung at the end of a slow line."""
    with served(slow_line(create_app(home, embedder=ColourEmbedder()))) as address:
        yield address


@pytest.mark.parametrize(("width", "height"), [(1400, 900), (390, 800)])
@pytest.mark.parametrize("url", ["/?q=người", "/library", "/video/googlework_short"])
def test_nothing_moves_while_a_page_arrives(page: Page, slow, url, width, height):
    page.set_viewport_size({"width": width, "height": height})
    page.goto(slow + url)
    page.wait_for_load_state("networkidle")
    assert page.evaluate(SHIFT) < 0.02


def test_copying_works_without_https_too(page: Page):
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.goto("/?q=văn phòng")
    page.locator(".card .shot").first.click()
    page.locator("#panel").get_by_role("button", name="Chép liên kết").click()
    expect(page.locator("#toast")).to_contain_text("Đã chép: http")
    page.focus("#ask input[name=q]")
    page.keyboard.press("Control+A")
    page.keyboard.press("Control+V")
    expect(page.locator("#ask input[name=q]")).to_have_value(re.compile(r"/frame/googlework_short/\d+"))


def test_what_is_lit_is_what_was_asked(page: Page):
    page.goto("/?q=a person in an office&ui=en")
    expect(page.locator(".card mark").first).to_be_visible()
    lit = {text.lower() for text in page.locator(".card mark").all_inner_texts()}
    assert lit <= {"person", "people", "office"}, lit


def test_every_chip_stands_in_its_row(page: Page):
    """Kinds of pieces are class names; none may meet a rule that is meant for something else."""
    page.goto(
        '/?q=ba người trong 30 giây đầu rồi "google" không có ô tô trong vòng 20 giây&then=văn phòng&object=person'
    )
    places = page.locator(".chip").evaluate_all(
        "chips => chips.map((chip) => [getComputedStyle(chip).position, getComputedStyle(chip).color, chip.closest('.chips').getBoundingClientRect().top <= chip.getBoundingClientRect().top])"
    )
    assert len(places) >= 6
    assert {tuple(place) for place in places} == {tuple(places[0])}
    assert places[0][0] == "static" and places[0][2]
