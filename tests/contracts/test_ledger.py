"""What every Ledger promises."""

import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import servers

from khung.stores import Ledger, LedgerEntry
from khung.stores.ledger_postgres import PostgresLedger
from khung.stores.ledger_sqlite import SqliteLedger
from khung.stores.postgres import Postgres

A, B = "a" * 64, "b" * 64


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.services)])
def open_ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Ledger]]:
    """Each call opens the same ledger anew, as another process would."""
    schema = f"t{secrets.token_hex(6)}"
    opened: list[PostgresLedger | SqliteLedger] = []

    def make() -> Ledger:
        if request.param == "sqlite":
            opened.append(SqliteLedger(tmp_path / "ledger.sqlite"))
        else:
            opened.append(PostgresLedger(Postgres(servers.shared("postgres"), schema=schema, max_size=2)))
        return opened[-1]

    yield make
    for ledger in opened:
        ledger.close()


@pytest.fixture
def ledger(open_ledger: Callable[[], Ledger]) -> Ledger:
    return open_ledger()


def test_a_new_content_gets_its_name(ledger: Ledger) -> None:
    assert ledger.claim(A, "clip.mp4", "clip") == ("clip", "")
    assert ledger.claim(A, "clip.mp4", "clip") == ("clip", "")


def test_a_name_that_is_taken_gets_a_suffix(ledger: Ledger) -> None:
    ledger.claim(A, "x/clip.mp4", "clip")
    assert ledger.claim(B, "y/clip.mp4", "clip") == ("clip_2", "")
    assert ledger.claim(B, "y/clip.mp4", "clip") == ("clip_2", "")
    assert ledger.claim("c" * 64, "z/clip.mp4", "clip") == ("clip_3", "")


def test_a_suffix_keeps_within_the_length_of_a_video_id(ledger: Ledger) -> None:
    name = "n" * 120
    ledger.claim(A, "a", name)
    assert ledger.claim(B, "b", name) == ("n" * 118 + "_2", "")


def test_a_known_content_is_linked_to_the_first(ledger: Ledger) -> None:
    ledger.claim(A, "clip.mp4", "clip")
    assert ledger.claim(A, "copy.mp4", "copy") == ("copy", "clip")
    assert ledger.claim(A, "copy.mp4", "copy") == ("copy", "clip")
    assert ledger.claim(A, "third.mp4", "third") == ("third", "clip")
    entry = ledger.get("copy")["videos"]
    assert entry.state == "linked"
    assert "clip" in entry.detail


def test_names_that_are_known(ledger: Ledger) -> None:
    assert ledger.claimed(["clip.mp4"]) == set()
    ledger.claim(A, "Phố cổ.mp4", "Pho_co")
    ledger.claim(A, "copy.mp4", "copy")
    asked = {"Phố cổ.mp4", "Pho_co", "copy.mp4", "copy", "clip.mp4", "%", "'; --", ""}
    assert ledger.claimed(asked) == {"Phố cổ.mp4", "Pho_co", "copy.mp4", "copy"}
    assert ledger.claimed([]) == set()
    assert ledger.claimed({f"{number}.mp4" for number in range(40_000)} | {"copy"}) == {"copy"}


def test_entries_are_replaced_by_video_and_stage(ledger: Ledger) -> None:
    ledger.put([LedgerEntry("v", "shots", "running", attempt=1), LedgerEntry("v", "videos", "done")])
    ledger.put([LedgerEntry("v", "shots", "failed", "no_video_stream", "It has only sound.", 2, "c1", "f1")])
    entry = ledger.get("v")["shots"]
    assert (entry.state, entry.reason, entry.attempt) == ("failed", "no_video_stream", 2)
    assert (entry.detail, entry.code_version, entry.fingerprint) == ("It has only sound.", "c1", "f1")
    assert entry.updated_at.startswith("20") and entry.updated_at.endswith("+00:00")
    assert sorted(ledger.get("v")) == ["shots", "videos"]
    assert ledger.get("unknown") == {}


def test_find_and_counts(ledger: Ledger) -> None:
    assert ledger.find() == [] and ledger.counts() == {}
    ledger.put([LedgerEntry(f"v{i}", "shots", "done" if i % 3 else "failed") for i in range(9)])
    ledger.put([LedgerEntry("v0", "videos", "done")])
    assert [e.video_id for e in ledger.find(stage="shots", state="failed")] == ["v0", "v3", "v6"]
    assert len(ledger.find(stage="shots")) == 9
    assert len(ledger.find(state="done")) == 7
    assert len(ledger.find()) == 10
    assert ledger.counts() == {"shots": {"done": 6, "failed": 3}, "videos": {"done": 1}}


def test_some_videos_alone(ledger: Ledger) -> None:
    ledger.put([LedgerEntry(f"v{i}", stage, "done") for i in range(9) for stage in ("videos", "shots")])
    assert [(e.video_id, e.stage) for e in ledger.find(videos=["v7", "nobody", "v2"], stage="shots")] == [
        ("v2", "shots"),
        ("v7", "shots"),
    ]
    assert len(ledger.find(videos={"v1", "v2"})) == 4
    assert ledger.find(videos=[]) == []
    assert len(ledger.find(videos=[f"v{i}" for i in range(40_000)])) == 18


def test_the_mark_is_another_one_after_any_change(ledger: Ledger) -> None:
    def marks() -> str:
        time.sleep(0.005)  # a change of the same moment may be missed
        mark = ledger.mark()
        assert ledger.mark() == mark
        return mark

    seen = [marks()]
    ledger.put([LedgerEntry("v", "videos", "waiting"), LedgerEntry("w", "videos", "done")])
    seen.append(marks())
    ledger.put([LedgerEntry("v", "videos", "running", attempt=1)])
    seen.append(marks())
    ledger.claim(A, "clip.mp4", "clip")
    ledger.claim(A, "copy.mp4", "copy")
    seen.append(marks())
    ledger.forget("w")
    seen.append(marks())
    assert len(set(seen)) == len(seen)


def test_states_of_every_video_but_for_stages_by_invitation(ledger: Ledger) -> None:
    assert ledger.states() == {}
    ledger.put([LedgerEntry("a", "videos", "done"), LedgerEntry("a", "shots", "running")])
    ledger.put([LedgerEntry("a", "keyframes", "done"), LedgerEntry("a", "preview", "failed")])
    ledger.put([LedgerEntry("b", "videos", "linked"), LedgerEntry("c", "playable_copies", "failed")])
    assert ledger.states() == {"a": {"done", "running"}, "b": {"linked"}, "c": set()}


def test_forgetting_takes_the_links_too(ledger: Ledger) -> None:
    ledger.claim(A, "clip.mp4", "clip")
    ledger.claim(A, "copy.mp4", "copy")
    ledger.claim(B, "other.mp4", "other")
    ledger.put([LedgerEntry("clip", "shots", "done"), LedgerEntry("other", "shots", "done")])
    ledger.forget("clip")
    assert ledger.get("clip") == ledger.get("copy") == {}
    assert [e.video_id for e in ledger.find()] == ["other"]
    assert ledger.claim(A, "again.mp4", "again") == ("again", "")


def test_strange_words_are_only_words(ledger: Ledger) -> None:
    name = "'; DROP TABLE entries; --\n“Thời sự” 🎬"
    ledger.claim(A, name, "v")
    ledger.put([LedgerEntry("v", "videos", "failed", "x", name)])
    assert ledger.get("v")["videos"].detail == name


def test_it_outlives_the_process(open_ledger: Callable[[], Ledger]) -> None:
    open_ledger().put([LedgerEntry("v", "videos", "done")])
    assert open_ledger().get("v")["videos"].state == "done"


def test_many_writers_claim_each_content_once(open_ledger: Callable[[], Ledger]) -> None:
    def claim(worker: int) -> set[tuple[str, str]]:
        ledger = open_ledger()
        return {ledger.claim(f"{i:064}", f"{i}.mp4", f"same{i % 3}") for i in range(20)}

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(claim, range(6)))
    assert all(answer == answers[0] for answer in answers)
    assert len({video_id for video_id, _ in answers[0]}) == 20
    assert {linked for _, linked in answers[0]} == {""}


def test_many_writers_put_beside_each_other(open_ledger: Callable[[], Ledger]) -> None:
    def put(worker: int) -> None:
        ledger = open_ledger()
        for i in range(15):
            ledger.put([LedgerEntry(f"v{worker}-{i}", "shots", "done"), LedgerEntry("all", "shots", "done", attempt=i)])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(put, range(6)))
    assert open_ledger().counts() == {"shots": {"done": 91}}
