"""The describing server's client against a real HTTP server that misbehaves (tests/support/moody_server.py)."""

import json
import math
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from khung.errors import ConfigError, ModelError
from khung.vision import vlm_schema
from khung.vision.endpoints import EndpointPolicy, Endpoints, RequestRefused, retry_after
from khung.vision.openai_describer import ServedModel, connect, jpeg
from khung.vision.speaking import SpeakingDescriber
from tests.support import moody_server as moods
from tests.support.moody_server import ANSWER, MoodyServer, colour, fail, good, says, sends, slow

MODEL = ServedModel("qwen-vl", "a" * 40, parallel=4)
QUICK = EndpointPolicy(
    connect_s=1,
    request_s=5,
    deadline_s=40,
    attempts=4,
    backoff_s=0.01,
    most_backoff_s=0.02,
    failures_to_open=3,
    open_s=0.2,
)
IMAGE = np.full((40, 60, 3), 120, np.uint8)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def describe(*servers: MoodyServer, images=(IMAGE,), model=MODEL, policy=QUICK, key=""):
    speaker = connect([server.url for server in servers], model, key=key, policy=policy)
    return speaker.answers(list(images))


class TestWhatIsAsked:
    def test_the_request_is_the_contract(self):
        with MoodyServer([good]) as server:
            describe(server, key="secret")
        (request,), (headers,) = server.requests, server.headers
        assert request["model"] == "qwen-vl" and request["temperature"] == 0.0 and request["logprobs"] is True
        system, user = request["messages"]
        assert system == {"role": "system", "content": vlm_schema.SYSTEM}
        assert [part["type"] for part in user["content"]] == [
            "image_url",
            "text",
        ]  # the image first, as the model saw it
        assert user["content"][1]["text"] == vlm_schema.prompt()
        assert request["response_format"]["json_schema"]["schema"] == json.loads(json.dumps(vlm_schema.schema()))
        assert headers["authorization"] == "Bearer secret"

    def test_vllms_own_field(self):
        with MoodyServer([good]) as server:
            describe(server, model=ServedModel("m", "r", schema_by="structured_outputs"))
        assert server.requests[0]["structured_outputs"]["json"]["required"][0] == "caption"

    def test_the_picture_is_sent_no_larger_than_it_is_seen(self):
        from io import BytesIO

        from PIL import Image

        large = np.zeros((2160, 3840, 3), np.uint8)
        width, height = Image.open(BytesIO(jpeg(large, 640))).size
        assert width * height <= 640 * 784 * 1.01 and abs(width / height - 16 / 9) < 0.01
        assert Image.open(BytesIO(jpeg(IMAGE, 640))).size == (60, 40)

    def test_a_model_without_a_revision_is_refused(self):
        with pytest.raises(ConfigError, match="KHUNG_DESCRIBER_REVISION"):
            connect(["http://127.0.0.1:1/v1"], ServedModel("m", ""))

    @pytest.mark.parametrize("urls", [[], ["gpu1:8000"], ["http://a", "file:///etc"]])
    def test_an_address_that_is_none(self, urls):
        with pytest.raises(ConfigError, match="address"):
            connect(urls, MODEL)

    def test_the_fingerprint_names_model_and_prompt_not_addresses(self):
        speaker = connect(["http://127.0.0.1:1/v1"], MODEL)
        assert speaker.fingerprint.startswith(f"openai:qwen-vl@{'a' * 40}/")
        assert vlm_schema.prompt_fingerprint() in speaker.fingerprint and "127" not in speaker.fingerprint

    def test_the_model_is_looked_for_among_those_served(self):
        served = sends(b'{"data": [{"id": "qwen-vl"}]}')
        with MoodyServer([served]) as server:
            connect([server.url], MODEL).check()
            with pytest.raises(ConfigError, match="has qwen-vl, not other"):
                connect([server.url], ServedModel("other", "r")).check()

    @pytest.mark.parametrize("data", [b'{"data": null}', b'{"data": ["x", 3]}', b"{}"])
    def test_a_list_of_models_that_is_none(self, data):
        with MoodyServer([sends(data)]) as server, pytest.raises(ConfigError, match="has no model"):
            connect([server.url], MODEL).check()


class TestAnswers:
    def test_a_good_one(self):
        with MoodyServer([good]) as server:
            (said,) = describe(server)
        assert said.answer == vlm_schema.parse(json.dumps(ANSWER))
        assert said.confidence == pytest.approx(math.exp(-0.2))

    def test_without_log_probabilities_the_confidence_is_null(self):
        with MoodyServer([says(json.dumps(ANSWER), logprobs=None)]) as server:
            assert describe(server)[0].confidence is None

    def test_many_at_once_and_still_in_order(self):
        images = [np.full((30, 30, 3), 10 * n, np.uint8) for n in range(20)]
        with MoodyServer([colour]) as server:
            said = describe(server, images=images)
        assert [s.answer.caption.en for s in said] == [str(n) for n in range(20)]
        assert 1 < server.most_at_once <= MODEL.parallel

    def test_the_describer_over_it(self):
        with MoodyServer([good]) as server:
            describer = SpeakingDescriber(connect([server.url], MODEL, policy=QUICK))
            (description,) = describer.describe([IMAGE])
            describer.describe([IMAGE])
        assert description.captions["vi"] == "Một con phố." and description.origin == "generated"
        assert len(server.requests) == 1

    def test_an_answer_that_breaks_the_schema_is_asked_for_again_a_little_warmer(self):
        wrong = says(json.dumps(ANSWER | {"scene_type": "disco"}))
        with MoodyServer([wrong, good]) as server:
            assert describe(server)[0].answer.scene_type == "street"
        assert [request["temperature"] for request in server.requests] == [0.0, 0.4]

    @pytest.mark.parametrize(
        ("text", "choice", "told"),
        [
            ("I see a street.", {}, "the whole"),
            (json.dumps(ANSWER)[:60], {"finish_reason": "length"}, "cut off: raise answer_tokens"),
            (json.dumps(ANSWER | {"objects": ["unicorn"]}), {}, "objects.0"),
        ],
    )
    def test_one_that_always_breaks_it_is_an_error_that_says_where(self, text, choice, told):
        with MoodyServer([says(text, **choice)]) as server, pytest.raises(ModelError, match=told):
            describe(server)
        assert len(server.requests) == MODEL.answers_tried

    @pytest.mark.parametrize("data", [b'{"choices": []}', b'{"choices": [{}]}', b"{}", b'{"choices": "x"}'])
    def test_json_that_is_no_completion(self, data):
        with MoodyServer([sends(data)]) as server, pytest.raises(ModelError, match="chat completion"):
            describe(server)

    def test_one_bad_frame_comes_after_the_good_ones_before_it(self):
        with MoodyServer([good, good, says("no")]) as server:
            found = []
            one_by_one = ServedModel("m", "r", parallel=1)
            with pytest.raises(ModelError):
                for said in connect([server.url], one_by_one, policy=QUICK).stream([IMAGE] * 3):
                    found.append(said)
        assert len(found) == 2


MISBEHAVING = {
    "500": fail(500),
    "502": fail(502),
    "503": fail(503),
    "429 without a word": fail(429),
    "429 with nonsense": fail(429, retry_after="soon"),
    "not JSON": sends(b"<html>Bad gateway</html>"),
    "a JSON list": sends(b"[1, 2]"),
    "empty": sends(b""),
    "half an answer": moods.truncated,
    "reset": moods.reset,
    "slow": slow(90),
    "a byte at a time": moods.drip,
    "a flood": moods.floods,
    "bytes that are no text": sends(b"\xff\xfe\x00{"),
}


class TestMisbehaviour:
    @pytest.mark.parametrize("mood", MISBEHAVING.values(), ids=MISBEHAVING)
    def test_once_is_mended(self, mood):
        with MoodyServer([mood, good]) as server:
            assert describe(server)[0].answer.scene_type == "street"
        assert len(server.requests) == 2

    @pytest.mark.parametrize("mood", MISBEHAVING.values(), ids=MISBEHAVING)
    def test_always_is_an_error_in_bounded_time(self, mood):
        policy = EndpointPolicy(
            connect_s=1, request_s=0.3, deadline_s=30, attempts=3, backoff_s=0.01, failures_to_open=9, open_s=0.1
        )
        start = time.monotonic()
        with MoodyServer([mood]) as server, pytest.raises(ModelError, match="No model server answered: http://127"):
            describe(server, policy=policy)
        assert len(server.requests) == 3
        assert time.monotonic() - start < 25  # not the 90 that the server would take

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 302])
    def test_a_refusal_is_not_repeated(self, status):
        with MoodyServer([fail(status)]) as server, pytest.raises(RequestRefused, match=str(status)):
            describe(server)
        assert len(server.requests) == 1

    def test_nobody_listens(self):
        with MoodyServer([good]) as server:
            pass
        with pytest.raises(ModelError, match="ConnectError"):
            describe(server)


class TestRetryAfter:
    @pytest.mark.parametrize("status", [429, 503])
    def test_it_is_waited_for(self, status):
        with MoodyServer([fail(status, retry_after="1"), good]) as server:
            describe(server)
        assert 0.95 < server.times[1] - server.times[0] < 20

    def test_meanwhile_another_server_is_asked(self):
        with MoodyServer([fail(429, retry_after="30")]) as tired, MoodyServer([good]) as fresh:
            start = time.monotonic()
            for _ in range(6):
                describe(tired, fresh)
            assert time.monotonic() - start < 25
        assert len(fresh.requests) == 6

    def test_beyond_the_deadline_it_is_not(self):
        with MoodyServer([fail(429, retry_after="59")]) as server, pytest.raises(ModelError, match="come back in 59"):
            describe(server)
        assert len(server.requests) == 1

    def test_what_the_header_may_say(self):
        from email.utils import formatdate

        assert retry_after("7") == 7 and retry_after(None) is None and retry_after("soon") is None
        assert 50 < retry_after(formatdate(time.time() + 60, usegmt=True)) <= 60
        assert retry_after(formatdate(time.time() - 60, usegmt=True)) == 0


class TestCircuitBreaker:
    def test_a_server_that_keeps_failing_is_left_alone_then_tried_with_one_request(self):
        policy = EndpointPolicy(attempts=8, backoff_s=0.001, failures_to_open=3, open_s=2, deadline_s=60)
        with MoodyServer([fail(500), fail(500), fail(500), fail(500), good]) as server:
            describe(server, policy=policy)
        gaps = np.diff(server.times)
        assert (gaps[:2] < 1.9).all() and (gaps[2:4] > 1.9).all()  # opened after three, again after the failed probe

    def test_the_others_carry_on(self):
        with MoodyServer([fail(500)]) as broken, MoodyServer([good]) as whole:
            endpoints = connect([broken.url, whole.url], MODEL, policy=EndpointPolicy(backoff_s=0.001, open_s=60))
            endpoints.answers([IMAGE + n for n in range(30)])
        assert len(whole.requests) == 30
        assert len(broken.requests) <= 4 + MODEL.parallel

    def test_only_one_request_probes(self):
        policy = EndpointPolicy(attempts=1, failures_to_open=1, open_s=0.2, deadline_s=60, request_s=20)
        with MoodyServer([fail(500), slow(0.4), good]) as server:
            endpoints = Endpoints([server.url], policy)
            with pytest.raises(ModelError):
                endpoints.post("/x", {})
            with ThreadPoolExecutor(6) as pool:
                answers = list(pool.map(lambda _: endpoints.post("/x", {}), range(6)))
        assert len(answers) == 6
        probe, *others = server.times[1:]
        assert all(when - probe > 0.35 for when in others)

    def test_all_resting_beyond_the_deadline_is_an_error_at_once(self):
        policy = EndpointPolicy(attempts=2, backoff_s=0.001, failures_to_open=1, open_s=60, deadline_s=30)
        start = time.monotonic()
        with MoodyServer([fail(500)]) as server:
            endpoints = Endpoints([server.url], policy)
            for _ in range(2):
                with pytest.raises(ModelError):
                    endpoints.post("/x", {})
        assert len(server.requests) == 1 and time.monotonic() - start < 25
