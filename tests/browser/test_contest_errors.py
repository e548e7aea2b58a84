"""Every error code that DRES's API file gives an operation which the page uses: what the operator then sees, in Vietnamese."""

import pytest
from playwright.sync_api import Page, expect

from khung.web.strings import Words
from tests.contest.dres_server import Fault, described_errors
from tests.support.screen import log_in

pytestmark = pytest.mark.browser

WORDS = Words("vi")
BECAUSE = "Because <b>no</b>."
LOGIN, LOGOUT = "postApiV2Login", "getApiV2Logout"
RUNS = "getApiV2ClientEvaluationList"
TASK = "getApiV2ClientEvaluationCurrentTaskByEvaluationId"
STATE = "getApiV2EvaluationByEvaluationIdState"
SUBMIT = "postApiV2SubmitByEvaluationId"
LOGS = ("postApiV2LogQueryByEvaluationId", "postApiV2LogResultByEvaluationId")


def told(status: int, code: str = "") -> str:
    """The page's sentence for a refusal, with the server's own words in it, which are only text."""
    said = {"said": f"{status}: {BECAUSE}"}
    text = WORDS.told(code or f"dres_{status}", "contest_server", said, "")
    assert text and BECAUSE in text
    return text


def fails(dres, operation: str, status: int) -> None:
    dres.faults[operation] = Fault(status=status, description=BECAUSE)


def errors_of(operation: str) -> list[int]:
    """The file's, and one that nobody described; the one that ends the seat comes last."""
    return sorted([*described_errors(operation), 500], key=lambda status: (status == 401, status))


def test_logging_in(page: Page, arena, dres):
    page.goto(f"{arena}/contest")
    for status in errors_of(LOGIN):
        fails(dres, LOGIN, status)
        page.get_by_label("Tên đăng nhập").fill("thi")
        page.get_by_label("Mật khẩu").fill("bí mật")
        page.get_by_role("button", name="Đăng nhập").click()
        expect(page.locator(".login .reason")).to_have_text(told(status, "dres_silent" if status == 500 else ""))
    expect(page.locator("[data-contest-seat]")).to_be_hidden()


def test_the_list_of_evaluations(page: Page, arena, dres):
    log_in(page, arena)
    for status in errors_of(RUNS):
        fails(dres, RUNS, status)
        page.reload()
        expect(page.locator("#toast")).to_have_text(told(status, "dres_silent" if status == 500 else ""))


def test_the_task(page: Page, arena, dres):
    assert errors_of(TASK) == [404, 500, 401]
    log_in(page, arena)
    fails(dres, TASK, 404)  # so says DRES when there is none
    expect(page.locator("[data-task-name]")).to_have_text("Chưa có đề nào")
    fails(dres, TASK, 500)
    expect(page.locator("#task-bar [data-stale]")).to_contain_text(told(500, "dres_silent"))
    expect(page.locator("[data-contest-seat]")).to_be_visible()
    fails(dres, TASK, 401)
    expect(page.locator(".login .reason")).to_have_text(told(401))
    expect(page.locator("[data-contest-seat]")).to_be_hidden()


def test_the_clock(page: Page, arena, dres):
    assert errors_of(STATE) == [403, 404, 500, 401]
    log_in(page, arena)
    for status in (403, 500):  # hidden from participants, or out of order: the task goes on without it
        fails(dres, STATE, status)
        expect(page.locator(".countdown")).to_have_text("ban tổ chức không cho xem đồng hồ")
        dres.faults.clear()
        expect(page.locator(".countdown")).to_contain_text(":")
    fails(dres, STATE, 404)
    expect(page.locator("#task-bar [data-stale]")).to_contain_text(told(404))
    fails(dres, STATE, 401)
    expect(page.locator(".login .reason")).to_have_text(told(401))


def test_sending_an_answer(page: Page, arena, dres):
    assert errors_of(SUBMIT) == [400, 404, 412, 500, 401]
    log_in(page, arena)
    page.goto(f"{arena}/?q=văn phòng")
    page.locator(".card .shot").first.click()
    for status in errors_of(SUBMIT):
        fails(dres, SUBMIT, status)
        page.locator("#panel").get_by_role("button", name="Kiểm tra").click()
        page.locator("#panel .draft .primary").click()
        lost = status == 500
        expect(page.locator("#toast")).to_have_text(told(status, "dres_may_have_counted" if lost else ""))
        expect(page.locator(".answered")).to_have_text(
            "không rõ đã tính chưa" if lost or status == 401 else "bị từ chối"
        )
        page.keyboard.press("Escape")  # the draft that failed goes, so that the next one is not mistaken for it
        expect(page.locator("#panel .draft")).to_have_count(0)
    dres.faults.clear()
    page.goto(f"{arena}/contest")
    expect(page.locator("[data-answers] .reason")).to_have_text(f"401: {BECAUSE}")
    assert dres.submissions == []


def test_logs_and_logging_out_stop_nobody(page: Page, arena, dres):
    log_in(page, arena)
    for operation in LOGS:
        for status in errors_of(operation):
            fails(dres, operation, status)
            page.goto(f"{arena}/?q=văn phòng&size={'sml'[status % 3]}")
            expect(page.locator(".card").first).to_be_visible()
            expect(page.locator("#task-bar")).to_contain_text("kis-1")
            expect(page.locator("#task-bar [data-stale]")).to_be_empty()
    for status in errors_of(LOGOUT):
        log_in(page, arena) if status == 500 else page.goto(f"{arena}/contest")
        fails(dres, LOGOUT, status)
        page.get_by_role("button", name="Đăng xuất").click()
        expect(page.locator(".login")).to_be_visible()
