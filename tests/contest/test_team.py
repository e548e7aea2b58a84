"""The shared answer list: one entry an answer, handed to one sender, there after a restart; and what a review says of it."""

import sqlite3
import stat
import threading
from pathlib import Path

import pytest

from khung.contest.dres import TaskNow
from khung.contest.review import review
from khung.contest.submission import Draft, Pick, prepare
from khung.contest.team import Entry, Team
from khung.contest.wire import TaskInfo
from khung.errors import AlreadySent, NotFound, StoreError, SubmissionRejected
from tests.contest.values import video

KIS = TaskInfo(name="kis-1", task_group="KIS", task_type="Textual KIS", duration=300)
NOW = TaskNow("run-1", KIS, "task-1", "RUNNING", 240, 60)


@pytest.fixture
def team(tmp_path: Path) -> Team:
    return Team(tmp_path / "home" / "contest.sqlite")


def draft(frame: int, kind: str = "KIS", video_id: str = "L21_V001") -> Draft:
    return prepare(kind, [Pick(video(video_id), frame)])


def sent(team: Team, what: Draft, verdict: str, by: str = "thi") -> Entry:
    entry = team.propose(NOW, what, by)
    team.claim(entry.id, by)
    team.settle(entry.id, "sent", verdict, "said the server")
    return team.entry(entry.id)


def codes(team: Team, what: Draft) -> list[str]:
    return [notice.code for notice in review(what, team.entries("run-1", "task-1"))]


def test_a_proposal_keeps_everything_a_person_compares(team: Team) -> None:
    entry = team.propose(NOW, prepare("AVS", [Pick(video(), 100), Pick(video(), 150)], collection="V3C"), "thi")
    assert (entry.frames, entry.times_ms, entry.item_name) == ((100, 150), (4000, 6000), "L21_V001")
    assert (entry.kind, entry.task, entry.task_name, entry.state, entry.by) == (
        "AVS",
        "task-1",
        "kis-1",
        "proposed",
        "thi",
    )
    assert entry.answer.wire()["mediaItemCollectionName"] == "V3C"


def test_the_list_is_there_after_a_restart(team: Team) -> None:
    entry = sent(team, draft(100), "INDETERMINATE")
    assert Team(team.path).entries("run-1") == [entry]


def test_one_answer_stands_once_whoever_proposes_it(team: Team) -> None:
    first = team.propose(NOW, draft(100), "thi")
    again = Team(team.path).propose(NOW, draft(100), "lan")
    assert (again.id, again.by) == (first.id, "thi")
    assert len(team.entries("run-1")) == 1


def test_lists_of_tasks_are_apart(team: Team) -> None:
    team.propose(NOW, draft(100), "thi")
    team.propose(TaskNow("run-1", KIS, "task-2"), draft(100), "thi")
    team.propose(TaskNow("run-2", KIS, "task-1"), draft(100), "thi")
    assert [len(team.entries("run-1", task)) for task in (None, "task-1", "task-2", "other")] == [2, 1, 1, 0]


def test_without_a_task_nothing_is_proposed(team: Team) -> None:
    with pytest.raises(SubmissionRejected, match="No task"):
        team.propose(TaskNow("run-1", None), draft(100), "thi")


def test_of_many_senders_one_gets_the_answer(team: Team) -> None:
    entry = team.propose(NOW, draft(100), "thi")
    outcomes: list[str] = []
    start = threading.Barrier(8)

    def claim(name: str) -> None:
        start.wait()
        try:
            outcomes.append(Team(team.path).claim(entry.id, name).sent_by)
        except AlreadySent:
            outcomes.append("")

    threads = [threading.Thread(target=claim, args=(f"operator {n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [name for name in outcomes if name]
    assert (len(outcomes), winners) == (8, [team.entry(entry.id).sent_by])


@pytest.mark.parametrize(("state", "free"), [("refused", True), ("sent", False), ("unknown", False)])
def test_only_what_did_not_count_is_sent_again_without_a_word(team: Team, state: str, free: bool) -> None:
    entry = team.propose(NOW, draft(100), "thi")
    team.claim(entry.id, "thi")
    with pytest.raises(AlreadySent, match="thi"):
        team.claim(entry.id, "lan", again=True)  # it is on its way at this moment
    team.settle(entry.id, state, "WRONG" if state == "sent" else "", "why")
    if not free:
        with pytest.raises(AlreadySent, match="on purpose"):
            team.claim(entry.id, "lan")
    claimed = team.claim(entry.id, "lan", again=not free)
    assert (claimed.state, claimed.sent_by, claimed.verdict) == ("sending", "lan", "")


def test_what_a_stopped_khung_was_sending_is_unknown(team: Team) -> None:
    entry = team.propose(NOW, draft(100), "thi")
    team.claim(entry.id, "thi")
    assert team.entry(entry.id).state == "sending"
    with sqlite3.connect(team.path) as db:
        db.execute("UPDATE answers SET changed_ms = changed_ms - 61000")
    db.close()
    assert team.entry(entry.id).state == "unknown"
    with pytest.raises(AlreadySent):
        team.claim(entry.id, "lan")
    assert team.claim(entry.id, "lan", again=True).state == "sending"


def test_only_what_was_not_sent_leaves_the_list(team: Team) -> None:
    proposed, counted = team.propose(NOW, draft(1), "thi"), sent(team, draft(2), "WRONG")
    team.drop(proposed.id)
    with pytest.raises(AlreadySent):
        team.drop(counted.id)
    assert team.entries("run-1") == [counted]
    with pytest.raises(NotFound):
        team.drop(proposed.id)


def test_a_failed_change_leaves_nothing_behind(team: Team) -> None:
    with pytest.raises(RuntimeError), team.changing() as db:
        db.execute("INSERT INTO seats VALUES ('a', 'b', 'c', 'd', 'e')")
        raise RuntimeError
    with team.changing() as db:
        assert db.execute("SELECT count(*) FROM seats").fetchone()[0] == 0


def test_the_file_is_for_its_owner_only(team: Team) -> None:
    assert stat.S_IMODE(team.path.stat().st_mode) & 0o077 == 0


def test_a_file_of_a_newer_khung_or_of_something_else_is_refused(team: Team, tmp_path: Path) -> None:
    with sqlite3.connect(team.path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreError, match="newer"):
        Team(team.path)
    other = tmp_path / "other.sqlite"
    other.write_bytes(b"no database at all, but long enough to be looked at" * 100)
    with pytest.raises(StoreError, match=r"other\.sqlite"):
        Team(other)


def test_a_review_of_a_fresh_answer_is_empty(team: Team) -> None:
    assert codes(team, draft(100)) == []


def test_a_review_knows_the_answer_itself(team: Team) -> None:
    entry = team.propose(NOW, draft(100), "thi")
    assert codes(team, draft(100)) == ["proposed"]
    team.claim(entry.id, "lan")
    assert codes(team, draft(100)) == ["already_sent"]
    team.settle(entry.id, "sent", "WRONG")
    (notice,) = review(draft(100), team.entries("run-1"))
    assert notice.message == "lan has sent exactly this: WRONG."


def test_a_review_knows_moments_nearby(team: Team) -> None:
    sent(team, draft(1000), "WRONG")
    assert codes(team, draft(1050)) == ["near_wrong"]  # two seconds later
    assert codes(team, draft(1051)) == []
    assert codes(team, draft(1000, video_id="L21_V002")) == []
    sent(team, draft(5000), "INDETERMINATE")
    assert codes(team, draft(4990)) == ["near_sent"]


def test_a_review_knows_that_the_task_is_solved(team: Team) -> None:
    sent(team, draft(100), "CORRECT", by="lan")
    (notice,) = review(draft(9000, video_id="L21_V002"), team.entries("run-1"))
    assert (notice.code, notice.message) == ("solved", "lan has solved this task.")


def test_in_avs_a_second_shot_of_a_correct_video_adds_nothing(team: Team) -> None:
    sent(team, draft(100, "AVS"), "CORRECT")
    sent(team, draft(100, "AVS", "L21_V002"), "WRONG")
    assert codes(team, draft(9000, "AVS")) == ["same_video"]
    assert codes(team, draft(9000, "AVS", "L21_V002")) == []
    assert codes(team, draft(9000, "AVS", "L21_V003")) == []


def test_what_was_refused_did_not_happen(team: Team) -> None:
    entry = team.propose(NOW, draft(100), "thi")
    team.claim(entry.id, "thi")
    team.settle(entry.id, "refused", "", "412")
    assert codes(team, draft(110)) == []
