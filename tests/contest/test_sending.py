"""From the list to the server and back, and who may do it: against a server made from DRES's OpenAPI document."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from khung.contest.sending import send
from khung.contest.sessions import Sessions
from khung.contest.submission import Pick, prepare
from khung.contest.team import Entry, Team
from khung.errors import (
    AlreadySent,
    ConfigError,
    ContestLoginNeeded,
    ContestUnavailable,
    DeliveryUnknown,
    SubmissionRejected,
)
from khung.settings import ContestSettings
from tests.contest.dres_server import DresServer, Fault
from tests.contest.values import video

pytestmark = pytest.mark.anyio

SUBMIT = "postApiV2SubmitByEvaluationId"


class Desk:
    """One khung with one operator logged in."""

    def __init__(self, server: str, path: Path) -> None:
        self.team = Team(path)
        self.sessions = Sessions(ContestSettings(server=server, timeout_s=1), self.team)
        self.token = ""

    async def login(self, name: str = "thi", password: str = "bí mật") -> None:
        self.token, _ = await self.sessions.login(name, password)

    async def propose(self, frame: int = 3144, item: str = "L21_V001") -> Entry:
        seat = await self.sessions.seat(self.token)
        now = await seat.dres.task_now(seat.evaluation_id)
        return self.team.propose(now, prepare("KIS", [Pick(video(item), frame)]), seat.username)

    async def send(self, entry: Entry, **options: bool) -> Entry:
        seat = await self.sessions.seat(self.token)
        return await send(seat.dres, self.team, entry.id, seat.username, **options)


@pytest.fixture
async def desk(dres_server: DresServer, tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(dres_server.address, tmp_path / "contest.sqlite")
    await desk.login()
    yield desk
    await desk.sessions.aclose()


@pytest.mark.parametrize("verdict", ["CORRECT", "WRONG", "INDETERMINATE", "UNDECIDABLE"])
async def test_the_verdict_is_written_on_the_list(dres_server: DresServer, desk: Desk, verdict: str) -> None:
    dres_server.verdicts = [verdict]
    entry = await desk.send(await desk.propose())
    assert (entry.state, entry.verdict, entry.sent_by) == ("sent", verdict, "thi")
    assert entry.message
    assert desk.team.entries("run-1") == [entry]


async def test_task_and_times_are_sent_as_prepared(dres_server: DresServer, desk: Desk) -> None:
    await desk.send(await desk.propose())
    ((run, body),) = dres_server.submissions
    answers = [{"mediaItemName": "L21_V001", "start": 125_760, "end": 125_760}]
    assert (run, body) == ("run-1", {"answerSets": [{"taskId": "task-1", "taskName": "kis-1", "answers": answers}]})


async def test_a_double_click_sends_once(dres_server: DresServer, desk: Desk) -> None:
    entry = await desk.propose()
    dres_server.faults[SUBMIT] = Fault(after_s=0.1)
    outcomes = await asyncio.gather(*(desk.send(entry) for _ in range(4)), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["AlreadySent"] * 3 + ["Entry"]
    assert len(dres_server.submissions) == 1


async def test_a_second_time_is_only_on_purpose(dres_server: DresServer, desk: Desk) -> None:
    dres_server.verdicts = ["WRONG"]
    entry = await desk.send(await desk.propose())
    with pytest.raises(AlreadySent, match="WRONG"):
        await desk.send(entry)
    with pytest.raises(SubmissionRejected, match="Duplicate"):  # the server's own rule
        await desk.send(entry, again=True)
    assert dres_server.calls.count(SUBMIT) == 2
    kept = desk.team.entry(entry.id)
    assert (kept.state, kept.verdict, "Duplicate" in kept.message) == ("sent", "WRONG", True)


async def test_a_refusal_is_written_down_and_may_be_mended(dres_server: DresServer, desk: Desk) -> None:
    entry = await desk.propose(item="L99_V999")
    with pytest.raises(SubmissionRejected, match="not found"):
        await desk.send(entry)
    assert (desk.team.entry(entry.id).state, "not found" in desk.team.entry(entry.id).message) == ("refused", True)
    dres_server.items.add("L99_V999")
    assert (await desk.send(entry)).verdict == "CORRECT"


async def test_an_expired_session_keeps_the_answer_for_after_the_login(dres_server: DresServer, desk: Desk) -> None:
    entry = await desk.propose()
    dres_server.sessions.clear()
    with pytest.raises(ContestLoginNeeded):
        await desk.send(entry)
    with pytest.raises(ContestLoginNeeded):
        await desk.send(entry, check_task=False)
    await desk.login()
    assert (await desk.send(entry)).verdict == "CORRECT"


async def test_a_lost_verdict_is_unknown_and_not_repeated(dres_server: DresServer, desk: Desk) -> None:
    entry = await desk.propose()
    dres_server.faults[SUBMIT] = Fault(after_s=1.5)
    with pytest.raises(DeliveryUnknown):
        await desk.send(entry)
    assert desk.team.entry(entry.id).state == "unknown"
    with pytest.raises(AlreadySent):
        await desk.send(entry)
    assert dres_server.calls.count(SUBMIT) == 1


async def test_stopping_while_sending_leaves_the_answer_unknown(dres_server: DresServer, desk: Desk) -> None:
    entry = await desk.propose()
    dres_server.faults[SUBMIT] = Fault(after_s=0.5)
    sending = asyncio.create_task(desk.send(entry))
    while SUBMIT not in dres_server.calls:
        await asyncio.sleep(0.01)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert desk.team.entry(entry.id).state == "unknown"


async def test_an_answer_is_not_given_to_the_next_task(dres_server: DresServer, desk: Desk) -> None:
    entry = await desk.propose()
    dres_server.task_id, dres_server.task["name"] = "task-2", "kis-2"
    with pytest.raises(SubmissionRejected, match="“kis-1”; now it is “kis-2”"):
        await desk.send(entry)
    dres_server.task = None
    with pytest.raises(SubmissionRejected, match="now there is none"):
        await desk.send(entry)
    assert (SUBMIT in dres_server.calls, desk.team.entry(entry.id).state) == (False, "proposed")


async def test_an_answer_waits_while_its_task_does_not_run(dres_server: DresServer, desk: Desk) -> None:
    entry = await desk.propose()
    dres_server.optional_fields = {"taskStatus": "PREPARING"}
    with pytest.raises(SubmissionRejected, match="PREPARING"):
        await desk.send(entry)
    assert SUBMIT not in dres_server.calls


async def test_the_check_of_the_task_can_be_left_out(dres_server: DresServer, desk: Desk) -> None:
    entry = await desk.propose()
    dres_server.faults["getApiV2ClientEvaluationCurrentTaskByEvaluationId"] = Fault(503)
    with pytest.raises(ContestUnavailable):
        await desk.send(entry)
    assert (await desk.send(entry, check_task=False)).verdict == "CORRECT"


async def test_a_broken_state_page_does_not_keep_an_answer_back(dres_server: DresServer, desk: Desk) -> None:
    entry = await desk.propose()
    dres_server.faults["getApiV2EvaluationByEvaluationIdState"] = Fault(503)
    assert (await desk.send(entry)).verdict == "CORRECT"
    dres_server.task_id, dres_server.task["name"] = "task-2", "kis-2"
    with pytest.raises(SubmissionRejected, match="now it is “kis-2”"):
        await desk.send(entry, again=True)


async def test_a_restart_logs_nobody_out(dres_server: DresServer, desk: Desk) -> None:
    entry = await desk.propose()
    restarted = Desk(dres_server.address, desk.team.path)
    restarted.token = desk.token
    seat = await restarted.sessions.seat(desk.token)
    assert (seat.username, seat.evaluation_id) == ("thi", "run-1")
    assert (await restarted.send(entry)).verdict == "CORRECT"
    assert restarted.team.entries("run-1")[0].sent_by == "thi"


async def test_the_file_holds_neither_password_nor_token(dres_server: DresServer, desk: Desk) -> None:
    kept = desk.team.path.read_bytes()
    assert b"session-1" in kept
    assert "bí mật".encode() not in kept
    assert desk.token.encode() not in kept


async def test_operators_share_the_list_but_not_the_session(dres_server: DresServer, desk: Desk) -> None:
    other = Desk(dres_server.address, desk.team.path)
    await other.login("lan", "cũng bí mật")
    entry = await desk.propose()
    assert (await other.send(entry)).sent_by == "lan"
    with pytest.raises(AlreadySent, match="lan"):
        await desk.send(entry)


async def test_a_token_that_nobody_gave_is_nobody(desk: Desk) -> None:
    for token in ("", "x", desk.token[:-1]):
        with pytest.raises(ContestLoginNeeded):
            await desk.sessions.seat(token)


async def test_logout_forgets_here_even_when_the_server_is_down(dres_server: DresServer, desk: Desk) -> None:
    dres_server.faults["getApiV2Logout"] = Fault(503)
    await desk.sessions.logout(desk.token)
    with pytest.raises(ContestLoginNeeded):
        await desk.sessions.seat(desk.token)


async def test_logout_closes_the_session_at_the_server(dres_server: DresServer, desk: Desk) -> None:
    await desk.sessions.logout(desk.token)
    assert dres_server.sessions == {}


async def test_an_evaluation_is_chosen(desk: Desk) -> None:
    assert (await desk.sessions.choose(desk.token, "run-2")).evaluation_id == "run-2"
    assert (await desk.sessions.seat(desk.token)).evaluation_id == "run-2"


async def test_a_session_of_another_server_is_not_shown_to_this_one(desk: Desk, nobody: str) -> None:
    moved = Sessions(ContestSettings(server=nobody), desk.team)
    with pytest.raises(ContestLoginNeeded):
        await moved.seat(desk.token)


async def test_no_server_no_sessions(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="KHUNG_CONTEST_SERVER"):
        Sessions(ContestSettings(server=""), Team(tmp_path / "contest.sqlite"))
