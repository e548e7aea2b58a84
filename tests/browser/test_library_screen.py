"""The library in the browser: states and reasons, uploads with progress, and the table that follows the work."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from khung.api.app import create_app
from khung.settings import Settings
from khung.stores import LedgerEntry
from khung.stores.archive_local import LocalArchive
from khung.stores.ledger_sqlite import SqliteLedger
from khung.stores.library import Library
from tests.support.served import served
from tests.support.small_home import ColourEmbedder, add, put_in_service, settings_for

pytestmark = pytest.mark.browser


def test_states_and_reasons(page: Page):
    page.goto("/library")
    row = page.locator("#videos tr")
    expect(row.filter(has_text="googlework_short")).to_contain_text("Tìm được")
    expect(row.filter(has_text="busy")).to_contain_text("Đang xử lý")
    broken = row.filter(has_text="broken")
    expect(broken).to_contain_text("Hỏng")
    expect(broken.locator(".reason")).to_contain_text("Tệp này không phải video")
    expect(broken.locator(".reason")).to_have_attribute("title", re.compile("not_a_video: No video is in it."))
    page.get_by_role("link", name="googlework_short.mp4").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("googlework_short.mp4")
    expect(page.locator(".card")).to_have_count(35)


def test_narrowed_by_state_and_name(page: Page):
    page.goto("/library")
    states = page.locator("#states")
    expect(states).to_contain_text("Tất cả 6")
    states.get_by_role("link", name="Hỏng").click()
    expect(page.locator("#videos tbody tr")).to_have_count(1)
    expect(page.locator("#videos tbody")).to_contain_text("broken")
    page.goto("/library")
    page.keyboard.press("/")
    page.keyboard.type("co PHO")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("name="))
    expect(page.locator("#videos tbody tr")).to_have_count(1)
    expect(page.locator("#videos tbody")).to_contain_text("Phố “cổ”")
    page.fill(".shelf-bar input[type=search]", "phố xa")
    page.keyboard.press("Enter")
    expect(page.locator("#videos")).to_contain_text("Không có video nào như thế.")
    page.locator("#videos").get_by_role("link", name="Tất cả").click()
    expect(page.locator("#videos tbody tr")).to_have_count(6)


def test_a_long_library_has_pages(page: Page, fresh):
    address, settings = fresh
    SqliteLedger(settings.ledger_path).put([LedgerEntry(f"v{n:03}", "videos", "done") for n in range(130)])
    page.goto(f"{address}/library?state=waiting")
    expect(page.locator("#videos tbody tr")).to_have_count(100)
    page.get_by_role("link", name="Trang sau").click()
    expect(page.locator("#videos tbody tr")).to_have_count(30)
    expect(page.locator("#videos tbody tr").first).to_contain_text("v100")


@pytest.fixture
def fresh(tmp_path) -> Iterator[tuple[str, Settings]]:
    """A khung without a single video."""
    settings = settings_for(tmp_path)
    with served(create_app(settings, embedder=ColourEmbedder())) as address:
        yield address, settings


def test_files_are_sent_with_progress(page: Page, fresh, clips):
    address, settings = fresh
    page.goto(f"{address}/library")
    expect(page.locator("#videos")).to_contain_text("Thư viện còn trống")
    page.set_input_files("[data-drop-videos] input", [clips / "nasa_13013.mp4", clips / "cockatoo_cc0.mp4"])
    expect(page.locator("#uploads li")).to_have_count(2)
    expect(page.locator("#uploads li").last).to_contain_text("Đã nhận")
    for name in ("nasa_13013.mp4", "cockatoo_cc0.mp4"):
        assert (settings.inbox_dir / name).read_bytes() == (clips / name).read_bytes()
    assert list(Path(settings.inbox_dir).glob("*.part")) == []


def test_leaving_is_asked_about_while_files_are_on_their_way(page: Page, fresh, clips):
    address, settings = fresh
    held, asked = [], []
    page.route("**/v1/uploads?*", lambda route: held.append(route))
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.goto(f"{address}/library")
    page.locator("h1").click()  # browsers ask nobody who has touched nothing
    page.set_input_files("[data-drop-videos] input", [clips / "nasa_13013.mp4"])
    expect(page.locator("#uploads li")).to_have_count(1)
    with page.expect_event("dialog"):
        page.locator(".bar nav a[href='/']").click(no_wait_after=True)
    expect(page).to_have_url(f"{address}/library")
    held.pop().continue_()
    expect(page.locator("#uploads li")).to_contain_text("Đã nhận")
    assert (settings.inbox_dir / "nasa_13013.mp4").exists()
    page.locator(".bar nav a[href='/']").click()
    expect(page).to_have_url(f"{address}/")
    assert asked == ["beforeunload"]


def test_a_refused_file_says_why(page: Page, fresh, tmp_path):
    address, _ = fresh
    (tmp_path / "notes.mp4").touch()
    page.goto(f"{address}/library")
    page.set_input_files("[data-drop-videos] input", tmp_path / "notes.mp4")
    expect(page.locator("#uploads li")).to_have_text(re.compile("Không gửi được: Tệp rỗng. Hãy gửi lại."))


def test_a_dropped_file_is_sent(page: Page, fresh):
    address, settings = fresh
    page.goto(f"{address}/library")
    page.evaluate(
        """() => {
            const moved = new DataTransfer();
            moved.items.add(new File([new Uint8Array(2048)], "thả.mp4", { type: "video/mp4" }));
            for (const kind of ["dragover", "drop"])
                document.body.dispatchEvent(new DragEvent(kind, { dataTransfer: moved, bubbles: true, cancelable: true }));
        }"""
    )
    expect(page.locator("#uploads li")).to_contain_text("Đã nhận")
    assert (settings.inbox_dir / "thả.mp4").stat().st_size == 2048


def test_the_table_follows_the_work(page: Page, fresh):
    address, settings = fresh
    page.goto(f"{address}/library")
    SqliteLedger(settings.ledger_path).put(
        [LedgerEntry("moi", "videos", "done"), LedgerEntry("moi", "shots", "running")]
    )
    expect(page.locator("#videos")).to_contain_text("Đang xử lý", timeout=15_000)
    SqliteLedger(settings.ledger_path).put(
        [LedgerEntry("moi", "shots", "failed", "unreadable", "The file breaks off.")]
    )
    expect(page.locator("#videos")).to_contain_text("Tệp hỏng hoặc thiếu phần đầu", timeout=15_000)


def test_a_preview_is_found_while_the_rest_is_on_its_way(page: Page, fresh, clips):
    """The page that was left open shows it: first as a running stage with its progress, then as a video to look into."""
    address, settings = fresh
    ledger = SqliteLedger(settings.ledger_path)
    page.goto(f"{address}/library")
    ledger.put(
        [
            LedgerEntry("cockatoo_cc0", "videos", "done"),
            LedgerEntry("cockatoo_cc0", "shots", "running", detail="at 0:04.000"),
        ]
    )
    expect(page.locator("#videos")).to_contain_text("1/6 · Tách cảnh 0:04.000", timeout=20_000)
    found = add(Library(LocalArchive(settings.archive_dir)), ledger, clips / "cockatoo_cc0.mp4")
    ledger.put([LedgerEntry("cockatoo_cc0", "embeddings", "running")])
    part = replace(
        found, video=replace(found.video, preview=True), records=found.records[:3], vectors=found.vectors[:3]
    )
    put_in_service(settings, [part])
    row = page.locator("#videos tr", has_text="cockatoo_cc0.mp4")
    expect(row).to_contain_text("Tìm được một phần", timeout=20_000)
    row.get_by_role("link", name="cockatoo_cc0.mp4").click()
    expect(page.locator(".banner")).to_contain_text("3 khung hình rải khắp video")
    expect(page.locator(".card")).to_have_count(3)
    page.fill("#ask input[name=q]", "con vẹt")
    page.press("#ask input[name=q]", "Enter")
    expect(page.locator("#count")).to_be_visible()


def test_before_the_first_video_the_way_is_shown(page: Page, fresh):
    address, _ = fresh
    page.goto(address)
    expect(page.get_by_role("heading", name="Chưa có video nào để tìm")).to_be_visible()
    page.locator("main").get_by_role("link", name="Thư viện").click()
    expect(page).to_have_url(re.compile("/library$"))


@pytest.mark.parametrize("width", [390, 700, 900, 1400])
def test_the_columns_stand_before_the_last_row_has_come(page: Page, width):
    """A long page is shown while it arrives: a column as wide as its longest cell would move under the reader."""
    page.set_viewport_size({"width": width, "height": 800})
    page.goto("/library")
    places = "() => [...document.querySelectorAll('#videos th')].map((th) => [th.offsetLeft, th.offsetWidth])"
    whole = page.evaluate(places)
    for kept in (5, 1, 0):
        page.evaluate(
            "(n) => [...document.querySelectorAll('#videos tbody tr')].slice(n).forEach((tr) => tr.remove())", kept
        )
        assert page.evaluate(places) == whole
