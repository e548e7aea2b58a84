"""The contest in the browser: from logging in to a verdict, by keys, through a reload, with the server's errors shown."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from khung.api.app import create_app
from khung.settings import ContestSettings
from tests.contest.dres_server import DresServer, Fault
from tests.support.served import served
from tests.support.small_home import ColourEmbedder

pytestmark = pytest.mark.browser


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


def log_in(page: Page, arena: str) -> None:
    page.goto(f"{arena}/contest")
    page.get_by_label("Tên đăng nhập").fill("thi")
    page.get_by_label("Mật khẩu").fill("bí mật")
    page.get_by_role("button", name="Đăng nhập").click()
    expect(page.locator("[data-username]")).to_have_text("thi")


def test_from_login_to_a_verdict(page: Page, arena, dres):
    dres.verdicts = ["WRONG", "CORRECT"]
    log_in(page, arena)
    expect(page.locator("[data-task-name]")).to_have_text("kis-1")
    expect(page.locator(".countdown")).to_have_text(re.compile(r"^[34]:\d\d$"))
    page.goto(f"{arena}/?q=văn phòng")
    expect(page.locator("#task-bar")).to_contain_text("kis-1")
    page.locator(".card .shot").first.click()
    own = page.locator("#frame").get_attribute("data-frame-index")
    draft = page.locator("#panel .draft")
    page.locator("#panel").get_by_role("button", name="Kiểm tra").click()
    expect(draft).to_contain_text("googlework_short")
    expect(draft).to_contain_text(re.compile(rf"khung {own} · \d+ ms"))  # also while the player is still on its way
    draft.get_by_role("button", name="Nộp").click()
    expect(page.locator("#toast")).to_have_text("Sai")
    assert len(dres.submissions) == 1
    expect(page.locator("#task-bar")).to_contain_text("Sai")
    page.locator("#panel").get_by_role("button", name="Kiểm tra").click()
    expect(draft).to_contain_text("Đội đã nộp đúng câu này.")
    page.goto(f"{arena}/contest")
    expect(page.locator("[data-answers]")).to_contain_text("Sai")


def test_by_keys_and_through_a_reload(page: Page, arena, dres):
    dres.verdicts = ["CORRECT"]
    log_in(page, arena)
    page.goto(f"{arena}/?q=văn phòng")
    expect(page.locator("#task-bar")).to_be_visible()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator("#panel [data-answering]")).to_be_visible()
    page.get_by_role("button", name="Lấy khung này").click()
    expect(page.locator("[data-picks] li")).to_have_count(1)
    page.reload()
    expect(page.locator("#panel [data-picks] li")).to_have_count(1)
    page.keyboard.press("Shift+S")
    expect(page.locator("#panel .draft .primary")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#toast")).to_have_text("Đúng")
    expect(page.locator("[data-picks] li")).to_have_count(0)


def test_questions_have_a_text(page: Page, arena, dres):
    dres.task = dres.task | {"name": "qa-1", "taskGroup": "QA", "taskType": "VQA"}
    dres.verdicts = ["INDETERMINATE"]
    log_in(page, arena)
    page.locator("[data-contest-text] input").fill("bốn  người")
    page.locator("[data-contest-text]").get_by_role("button").click()
    page.locator("#contest .draft").get_by_role("button", name="Nộp").click()
    expect(page.locator("#toast")).to_have_text("Chờ giám khảo")
    assert dres.submissions[0][1]["answerSets"][0]["answers"] == [{"text": "bốn người"}]


def test_what_the_server_refuses_is_shown(page: Page, arena, dres):
    page.goto(f"{arena}/contest")
    page.get_by_label("Tên đăng nhập").fill("thi")
    page.get_by_label("Mật khẩu").fill("sai")
    page.get_by_role("button", name="Đăng nhập").click()
    expect(page.locator(".login .reason")).not_to_be_empty()
    log_in(page, arena)
    page.goto(f"{arena}/?q=văn phòng")
    page.locator(".card .shot").first.click()
    dres.faults["postApiV2SubmitByEvaluationId"] = Fault(status=412, description="<b>Duplicate</b>")
    page.locator("#panel").get_by_role("button", name="Kiểm tra").click()
    page.locator("#panel .draft").get_by_role("button", name="Nộp").click()
    expect(page.locator("#toast")).to_contain_text("<b>Duplicate</b>")
    page.goto(f"{arena}/contest")
    expect(page.locator("[data-answers]")).to_contain_text("bị từ chối")
    expect(page.locator("[data-answers]")).to_contain_text("<b>Duplicate</b>")
    dres.faults.clear()
    page.locator("[data-answers]").get_by_role("button", name="Gỡ").click()
    expect(page.locator("[data-answers]")).to_contain_text("Chưa có câu trả lời nào")


def test_logged_out_operators_are_shown_the_way(page: Page, arena):
    page.goto(f"{arena}/?q=văn phòng")
    page.locator(".card .shot").first.click()
    expect(page.locator("#panel").get_by_role("link", name=re.compile("Đăng nhập máy chủ"))).to_be_visible()
    expect(page.locator("#task-bar")).to_be_hidden()
