"""The DRES client against a server made from DRES's own OpenAPI document: every reply, every described error, every outage."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from khung.contest.dres import Dres
from khung.contest.submission import Answer
from khung.errors import (
    ConfigError,
    ContestError,
    ContestLoginNeeded,
    ContestUnavailable,
    DeliveryUnknown,
    SubmissionRejected,
)
from tests.contest.dres_server import DresServer, Fault, complaints, described_errors

pytestmark = pytest.mark.anyio

RUN = "run-1"
KIS = Answer("L21_V001", 125_760, 125_760)
LOG = {"timestamp": 1, "events": []}
RESULT_LOG = {"timestamp": 1, "sortType": "list", "resultSetAvailability": "all", "results": [], "events": []}

CALLS: dict[str, Callable[[Dres], Awaitable[object]]] = {
    "postApiV2Login": lambda dres: dres.login("thi", "bí mật"),
    "getApiV2Logout": lambda dres: dres.logout(),
    "getApiV2User": lambda dres: dres.user(),
    "getApiV2StatusTime": lambda dres: dres.server_time_ms(),
    "getApiV2ClientEvaluationList": lambda dres: dres.evaluations(),
    "getApiV2ClientEvaluationCurrentTaskByEvaluationId": lambda dres: dres.task_now(RUN),
    "getApiV2EvaluationByEvaluationIdState": lambda dres: dres.state(RUN),
    "postApiV2SubmitByEvaluationId": lambda dres: dres.submit(RUN, [KIS]),
    "postApiV2LogQueryByEvaluationId": lambda dres: dres.log_query(RUN, LOG),
    "postApiV2LogResultByEvaluationId": lambda dres: dres.log_result(RUN, RESULT_LOG),
}
SUBMIT = "postApiV2SubmitByEvaluationId"
NO_ERROR = {  # described errors that mean something else than a failure
    ("getApiV2ClientEvaluationCurrentTaskByEvaluationId", 404),  # no task now
    ("getApiV2EvaluationByEvaluationIdState", 403),  # hidden from participants
}


@pytest.fixture
async def dres(dres_server: DresServer) -> AsyncIterator[Dres]:
    client = Dres(dres_server.address)
    await client.login("thi", "bí mật")
    yield client
    await client.aclose()


async def test_login_opens_a_session_and_logout_closes_it(dres_server: DresServer, dres: Dres) -> None:
    assert dres_server.sessions == {dres.session: "thi"}
    assert (await dres.user()).username == "thi"
    await dres.logout()
    assert (dres_server.sessions, dres.session) == ({}, "")


async def test_a_wrong_password_is_named(dres_server: DresServer) -> None:
    client = Dres(dres_server.address)
    with pytest.raises(ContestLoginNeeded, match=r"Invalid credentials.*password"):
        await client.login("thi", "sai")
    assert client.session == ""


async def test_a_session_is_restored_without_the_password(dres_server: DresServer, dres: Dres) -> None:
    again = Dres(dres_server.address, session=dres.session)
    assert [run.id for run in await again.evaluations()] == [RUN]


async def test_an_expired_session_asks_for_a_login_and_a_login_heals_it(dres_server: DresServer, dres: Dres) -> None:
    dres_server.sessions.clear()
    with pytest.raises(ContestLoginNeeded, match="Log in again"):
        await dres.submit(RUN, [KIS])
    assert dres_server.submissions == []
    await dres.login("thi", "bí mật")
    assert (await dres.submit(RUN, [KIS])).submission == "CORRECT"


async def test_evaluations_tell_what_is_on(dres: Dres) -> None:
    (run,) = await dres.evaluations()
    assert (run.name, run.status, run.teams) == ("Demo run", "ACTIVE", ("khung",))
    assert run.task_templates[0].duration == 300


async def test_the_current_task_has_a_countdown(dres: Dres) -> None:
    now = await dres.task_now(RUN)
    assert (now.name, now.status, now.left_s, now.elapsed_s, now.key) == ("kis-1", "RUNNING", 240, 60, "task-1")


async def test_no_task_is_no_error(dres_server: DresServer, dres: Dres) -> None:
    dres_server.task = None
    now = await dres.task_now(RUN)
    assert (now.task, now.status, now.key, now.name) == (None, "NO_TASK", "", "")


async def test_a_hidden_state_leaves_the_task_without_countdown(dres_server: DresServer, dres: Dres) -> None:
    dres_server.participants_see_state = False
    now = await dres.task_now(RUN)
    assert (now.name, now.left_s, now.status, now.key) == ("kis-1", None, "", "kis-1")


@pytest.mark.parametrize("fault", [Fault(503), Fault(raw=b"<html>"), Fault(after_s=4)])
async def test_a_broken_state_page_costs_the_countdown_alone(dres_server: DresServer, fault: Fault) -> None:
    dres = Dres(dres_server.address, timeout_s=2.5)
    await dres.login("thi", "bí mật")
    known = await dres.task_now(RUN)
    dres_server.faults["getApiV2EvaluationByEvaluationIdState"] = fault
    now = await dres.task_now(RUN)
    assert (now.name, now.key, now.status, now.left_s) == ("kis-1", known.key, "", None)
    dres_server.task = None
    assert (await dres.task_now(RUN)).key == ""
    await dres.aclose()


async def test_an_unknown_evaluation_is_an_error(dres: Dres) -> None:
    with pytest.raises(ContestError, match="run/2 not found") as caught:
        await dres.task_now("run/2")  # the slash must not become a path
    assert caught.value.status == 404


async def test_nulls_and_new_fields_of_other_versions_are_read(dres_server: DresServer, dres: Dres) -> None:
    dres_server.optional_fields = {"taskId": None, "taskTemplateId": None, "invented": {"later": 1}}
    assert (await dres.task_now(RUN)).key == "kis-1"


async def test_the_servers_clock(dres: Dres) -> None:
    assert await dres.server_time_ms() == 1_800_000_000_000


@pytest.mark.parametrize("verdict", ["CORRECT", "WRONG", "INDETERMINATE", "UNDECIDABLE"])
async def test_every_verdict_comes_back(dres_server: DresServer, dres: Dres, verdict: str) -> None:
    dres_server.verdicts = [verdict]
    reply = await dres.submit(RUN, [KIS], task_id="task-1", task_name="kis-1")
    assert (reply.submission, reply.status) == (verdict, True)
    answers = [{"mediaItemName": "L21_V001", "start": 125_760, "end": 125_760}]
    assert dres_server.submissions == [
        (RUN, {"answerSets": [{"taskId": "task-1", "taskName": "kis-1", "answers": answers}]})
    ]


async def test_the_forms_of_an_answer(dres_server: DresServer, dres: Dres) -> None:
    await dres.submit(RUN, [Answer("00042", 0, 1, collection="V3C"), Answer("L21_V002", 5, 9)])
    await dres.submit(RUN, [Answer(text="QA-Năm người-L21_V001-4000")])
    sent = [body["answerSets"][0] for _, body in dres_server.submissions]
    assert sent[0]["answers"][0] == {"mediaItemName": "00042", "mediaItemCollectionName": "V3C", "start": 0, "end": 1}
    assert sent[1] == {"answers": [{"text": "QA-Năm người-L21_V001-4000"}]}


async def test_a_refused_submission_did_not_count(dres_server: DresServer, dres: Dres) -> None:
    await dres.submit(RUN, [KIS])
    with pytest.raises(SubmissionRejected, match=r"Duplicate submission received.*Nothing was counted") as caught:
        await dres.submit(RUN, [KIS])
    assert caught.value.status == 412
    with pytest.raises(SubmissionRejected, match=r"'L99' not found.*name is exact"):
        await dres.submit(RUN, [Answer("L99", 0, 0)])
    dres_server.task = None
    with pytest.raises(SubmissionRejected, match="no eligible evaluation"):
        await dres.submit(RUN, [Answer("00042", 0, 0)])
    assert len(dres_server.submissions) == 1


async def test_a_reply_that_says_no_is_no_success(dres_server: DresServer, dres: Dres) -> None:
    dres_server.faults[SUBMIT] = Fault(raw=b'{"status":false,"submission":"WRONG","description":"Too late"}')
    with pytest.raises(SubmissionRejected, match="Too late"):
        await dres.submit(RUN, [KIS])


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        (operation, status)
        for operation in CALLS
        for status in described_errors(operation)
        if (operation, status) not in NO_ERROR
    ],
)
async def test_every_described_error_is_named_and_asked_once(
    dres_server: DresServer, dres: Dres, operation: str, status: int
) -> None:
    dres_server.faults[operation] = Fault(status, "Bởi vì\n  không.")
    dres_server.calls.clear()
    with pytest.raises(ContestError) as caught:
        await CALLS[operation](dres)
    assert f"{status}: Bởi vì không." in caught.value.message
    assert caught.value.cure
    assert dres_server.calls.count(operation) == 1
    assert isinstance(caught.value, ContestLoginNeeded) == (status == 401)
    if operation == SUBMIT and status != 401:
        assert isinstance(caught.value, SubmissionRejected)


@pytest.mark.parametrize("operation", CALLS)
async def test_errors_nobody_described(dres_server: DresServer, dres: Dres, operation: str) -> None:
    dres_server.faults[operation] = Fault(503, raw=b"<html>Bad gateway</html>")
    with pytest.raises(ContestUnavailable, match="503: Service Unavailable") as caught:
        await CALLS[operation](dres)
    assert isinstance(caught.value, DeliveryUnknown) == (operation == SUBMIT)
    dres_server.faults[operation] = Fault(429, raw=b"")
    with pytest.raises(ContestError, match="429"):
        await CALLS[operation](dres)


@pytest.mark.parametrize(
    "raw", [b"", b"<html>Welcome</html>", b"null", b'{"status":"perhaps","username":7}', b"\xff\xfe", b"[" * 10_000]
)
@pytest.mark.parametrize("operation", CALLS)
async def test_garbage_is_not_believed(dres_server: DresServer, dres: Dres, operation: str, raw: bytes) -> None:
    dres_server.faults[operation] = Fault(raw=raw)
    if operation == "postApiV2Login":
        dres.session = ""
    with pytest.raises(ContestUnavailable) as caught:
        await CALLS[operation](dres)
    assert isinstance(caught.value, DeliveryUnknown) == (operation == SUBMIT)


async def test_a_login_without_a_session_is_no_login(dres_server: DresServer) -> None:
    client = Dres(dres_server.address)
    for raw in (
        b"{}",
        b'{"username":"thi","sessionId":null}',
        b'{"sessionId":"a; Path=/"}',
        b'{"sessionId":"\\u0111"}',
    ):
        dres_server.faults["postApiV2Login"] = Fault(raw=raw)
        with pytest.raises(ContestUnavailable):
            await client.login("thi", "bí mật")
    assert client.session == ""


async def test_a_server_that_moved_is_named_and_not_followed(dres_server: DresServer, dres: Dres) -> None:
    moved = Fault(301, raw=b"", headers={"location": "https://elsewhere.example/api/v2/login"})
    dres_server.faults["postApiV2Login"] = moved
    with pytest.raises(ContestError, match=r"301: https://elsewhere\.example.*KHUNG_CONTEST_SERVER"):
        await dres.login("thi", "bí mật")
    assert dres_server.calls.count("postApiV2Login") == 2  # the fixture's and this one


@pytest.mark.parametrize("operation", CALLS)
async def test_a_slow_server_is_not_waited_for(dres_server: DresServer, operation: str) -> None:
    client = Dres(dres_server.address, timeout_s=2)
    await client.login("thi", "bí mật")
    impatient = Dres(dres_server.address, session=client.session, timeout_s=0.3)
    dres_server.faults[operation] = Fault(after_s=0.6)
    dres_server.calls.clear()
    with pytest.raises(ContestUnavailable, match="no answer") as caught:
        await CALLS[operation](impatient)
    assert isinstance(caught.value, DeliveryUnknown) == (operation == SUBMIT)
    assert dres_server.calls.count(operation) == 1


async def test_a_server_that_trickles_is_not_waited_for() -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        try:
            while True:
                writer.write(b"HTTP/1.1 200 OK\r\nX: " if not writer.transport.get_write_buffer_size() else b"y")
                await writer.drain()
                await asyncio.sleep(0.05)
        except (ConnectionError, asyncio.CancelledError):
            writer.close()

    async with await asyncio.start_server(trickle, "127.0.0.1", 0) as server:
        client = Dres(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", session="s", timeout_s=0.3)
        with pytest.raises(ContestUnavailable, match="no answer"):
            await client.evaluations()


@pytest.mark.parametrize("operation", CALLS)
async def test_nobody_listens_means_nothing_was_sent(nobody: str, operation: str) -> None:
    with pytest.raises(ContestUnavailable, match="Nothing was sent") as caught:
        await CALLS[operation](Dres(nobody, session="s", timeout_s=1))
    assert not isinstance(caught.value, DeliveryUnknown)


async def test_a_connection_cut_after_the_submission_is_unknown_and_not_repeated() -> None:
    seen: list[bytes] = []

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        client = Dres(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", session="s", timeout_s=2)
        with pytest.raises(DeliveryUnknown, match="may have counted"):
            await client.submit(RUN, [KIS])
        with pytest.raises(ContestUnavailable):
            await client.evaluations()
    assert [line.split(b" ")[0] for line in seen] == [b"POST", b"GET"]


async def test_two_operators_do_not_share_a_session(dres_server: DresServer) -> None:
    thi, lan = Dres(dres_server.address), Dres(dres_server.address)
    await asyncio.gather(thi.login("thi", "bí mật"), lan.login("lan", "cũng bí mật"))
    assert ((await thi.user()).username, (await lan.user()).username) == ("thi", "lan")
    await thi.logout()
    assert (await lan.user()).username == "lan"


async def test_a_cookie_goes_only_where_the_document_has_no_other_way(dres_server: DresServer, dres: Dres) -> None:
    for call in CALLS.values():
        await call(dres)
        await dres.login("thi", "bí mật")
    assert dres_server.cookies == {"getApiV2User", "getApiV2EvaluationByEvaluationIdState"}


async def test_the_session_is_in_no_log(dres: Dres, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="httpx")
    await dres.evaluations()
    await dres.log_query(RUN, LOG)
    assert "client/evaluation/list?session=…" in caplog.text
    assert dres.session not in caplog.text


@pytest.mark.parametrize(
    "server", ["", "vbs.example.org", "ftp://vbs.example.org", "http://", "http://a:port", "file:///etc/passwd"]
)
def test_an_address_that_is_none_is_refused(server: str) -> None:
    with pytest.raises(ConfigError, match="KHUNG_CONTEST_SERVER"):
        Dres(server)


def test_the_test_servers_check_can_fail() -> None:
    submission = {"$ref": "#/components/schemas/ApiClientSubmission"}
    good = {"answerSets": [{"answers": [{"mediaItemName": "a", "start": 1, "end": 2, "text": None}]}]}
    assert complaints(submission, good) == []
    for bad in ({}, {"answerSets": [{}]}, {"answerSets": [{"answers": [{"start": "1"}]}]}, good | {"more": 1}):
        assert complaints(submission, bad)
