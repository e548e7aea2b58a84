"""`/v1/search` and its neighbours over a sealed snapshot: answers, limits, filters, images, degradation."""

import io

import pytest
from PIL import Image
from pydantic import TypeAdapter

from khung.api.answers import Answer
from khung.api.schemas import SearchOut


def ids(answer):
    assert answer.status_code == 200, answer.text
    return [hit["frame"]["id"] for hit in answer.json()["hits"]]


@pytest.mark.parametrize("q", ["người trong văn phòng", "nguoi trong van phong", "people in an office"])
def test_the_office_is_found_in_both_languages(client, q):
    answer = client.get("/v1/search", params={"q": q, "limit": 5})
    hits = answer.json()["hits"]
    assert hits and all("office" in hit["frame"]["captions"]["en"] for hit in hits[:3]), ids(answer)


def test_an_answer_says_all_that_it_should(client):
    answer = client.get("/v1/search", params={"q": "văn phòng", "limit": 1}).json()
    hit = answer["hits"][0]
    assert hit["frame"]["video_id"] == "googlework_short"
    assert hit["frame"]["timecode"].startswith("0:") and hit["frame"]["shot"]["start_ms"] <= hit["frame"]["pts_ms"]
    assert 0 < hit["score"] <= 1 and hit["channels"]["text"]["normalised"] > 0
    assert answer["parsed"]["language"] == "vi"
    assert answer["degraded"] == [] and answer["total"] >= 1 and len(answer["snapshot"]) == 16
    assert client.get(hit["frame"]["images"]["thumb"]).headers["content-type"] == "image/webp"
    assert client.get(hit["frame"]["media"]).headers["content-type"] == "video/mp4"


def test_get_and_post_answer_alike(client):
    by_get = client.get("/v1/search", params={"q": "phố", "limit": 7, "video": "googlework_short"})
    by_post = client.post("/v1/search", json={"q": "phố", "limit": 7, "video": ["googlework_short"]})
    assert ids(by_get) == ids(by_post)


def test_pages_do_not_overlap_and_follow_one_another(client):
    whole = ids(client.get("/v1/search", params={"q": "người", "limit": 20}))
    parts = [ids(client.get("/v1/search", params={"q": "người", "limit": 5, "offset": at})) for at in range(0, 20, 5)]
    assert [frame for part in parts for frame in part] == whole


def test_filters_hold_for_every_hit(client):
    def frames(**params):
        hits = client.get("/v1/search", params={"q": "người", "limit": 50} | params).json()["hits"]
        assert hits
        return [hit["frame"] for hit in hits]

    assert {f["video_id"] for f in frames(video="nasa_13013")} == {"nasa_13013"}
    assert "googlework_short" not in {f["video_id"] for f in frames(not_video="googlework_short")}
    assert all(2000 <= f["pts_ms"] < 5000 for f in frames(from_ms=2000, to_ms=5000))
    assert all("laptop" in {o["label"] for o in f["objects"]} for f in frames(object="laptop"))
    assert all(f["scene_type"] == "office" for f in frames(scene_type="office"))


def test_a_filter_alone_is_a_question(client):
    hits = client.get("/v1/search", params={"object": "laptop"}).json()["hits"]
    assert hits and {hit["frame"]["video_id"] for hit in hits} == {"googlework_short"}


def test_then_gives_chains_in_order(client):
    answer = client.post("/v1/search", json={"q": "trên phố", "then": ["văn phòng"], "limit": 3})
    for hit in answer.json()["hits"]:
        assert hit["chain"], "a sequence's hit names its following steps"
        assert hit["chain"][0]["frame"]["pts_ms"] > hit["frame"]["pts_ms"]
        assert hit["chain"][0]["frame"]["video_id"] == hit["frame"]["video_id"]


def test_like_finds_the_frame_s_neighbours(client):
    found = ids(client.get("/v1/search", params={"like": "cockatoo_cc0/0", "limit": 3}))
    assert found[0].startswith("cockatoo_cc0/") and len(found) == 3


def test_per_video_caps(client):
    found = ids(client.get("/v1/search", params={"q": "người", "limit": 20, "per_video": 2}))
    videos = [frame.split("/")[0] for frame in found]
    assert max(videos.count(video) for video in videos) <= 2


def test_facets_count_what_was_found(client):
    facets = client.get("/v1/search", params={"q": "văn phòng"}).json()["facets"]
    assert facets["objects"]["person"] > 0 and facets["scene_type"]["office"] > 0


def test_an_unknown_frame_is_not_found(client):
    answer = client.get("/v1/search", params={"like": "nothing/1"})
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"q": ""},
        {"q": "  \n "},
        {"q": "x" * 1001},
        {"q": "x", "limit": 0},
        {"q": "x", "limit": 201},
        {"q": "x", "limit": "NaN"},
        {"q": "x", "limit": "10; drop"},
        {"q": "x", "offset": -1},
        {"q": "x", "offset": 10**9},
        {"q": "x", "then": ["a"] * 6},
        {"q": "x", "unknown": "1"},
        {"q": "x", "video": "../../etc/passwd"},
        {"q": "x", "like": "a/../b"},
        {"q": "x", "from_ms": 5, "to_ms": 5},
        {"q": "x", "image": "nope"},
    ],
)
def test_what_is_refused(client, params):
    answer = client.get("/v1/search", params=params)
    assert answer.status_code == 422
    assert answer.json()["status"] == 422


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"q": 5}', b'{"q": "x", "extra": 1}', b"\xff", b'{"q": "\\ud800"}'])
def test_broken_bodies(client, body):
    answer = client.post("/v1/search", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "q",
    ["...", "?!", "tìm cho tôi", "((((", '"', "\u202eabc", "a\u200db", "😀", "\x00", "OR AND NOT", "title:x^2", "'; DROP TABLE frames; --",
     "rồi " * 100, "sau " * 120, "từ 99:99 đến -1", "sau 1e309 phút"],
)  # fmt: skip
def test_no_text_is_an_outage(client, q):
    assert client.get("/v1/search", params={"q": q}).status_code in (200, 422)


@pytest.mark.parametrize("variant", ["HOÀ", "hòa", "hoa\u0300"])
def test_spellings_of_one_word_rank_alike(client, variant):
    plain = ids(client.get("/v1/search", params={"q": "toà nhà"}))
    assert ids(client.get("/v1/search", params={"q": variant.replace("h", "t").replace("H", "T") + " nhà"})) == plain


def png(color):
    out = io.BytesIO()
    Image.new("RGB", (320, 180), color).save(out, "PNG")
    return out.getvalue()


def test_an_image_of_one_s_own(client):
    kept = client.post("/v1/query-images", files={"image": ("x.png", png((100, 100, 100)), "image/png")})
    assert kept.status_code == 201
    image = kept.json()["image"]
    assert ids(client.get("/v1/search", params={"image": image, "limit": 1}))[0].startswith("old_clip/")
    shown = client.get(f"/v1/query-images/{image}")
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/jpeg")


def test_a_file_that_is_no_image(client):
    answer = client.post("/v1/query-images", files={"image": ("x.png", b"<html>", "image/png")})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:khung:problem:media-refused")


def test_a_forgotten_image_is_not_found(client):
    assert client.get("/v1/search", params={"image": "0" * 32}).status_code == 404


def test_missing_marks_are_suggested_once_the_engine_is_warm(client):
    service = client.app.state.service
    with service.serving.borrow() as here:
        here.engine.warm()
    answer = client.get("/v1/search", params={"q": "nguoi trong van phong", "limit": 3}).json()
    assert answer["did_you_mean"] == "người trong văn phòng"
    page = client.get("/", params={"q": "nguoi trong van phong", "ui": "vi"}).text
    assert "Có phải bạn muốn tìm" in page
    assert client.get("/v1/search", params={"q": "people in an office"}).json()["did_you_mean"] == ""


def test_an_answer_is_kept_as_bytes_and_has_a_tag(client):
    asked = {"q": "nhóm người", "limit": 4}
    first, again = (client.get("/v1/search", params=asked) for _ in range(2))
    assert first.content == again.content and first.headers["etag"] == again.headers["etag"]
    by_post = client.post("/v1/search", json=asked)
    assert by_post.headers["etag"] == first.headers["etag"]
    for ask in (
        lambda h: client.get("/v1/search", params=asked, headers=h),
        lambda h: client.post("/v1/search", json=asked, headers=h),
    ):
        same = ask({"if-none-match": first.headers["etag"]})
        assert (same.status_code, same.content) == (304, b"")
        assert ask({"if-none-match": '"other"'}).status_code == 200
    assert "khung_cache_requests_total" in client.get("/metrics").text


def test_what_is_said_is_what_the_schema_says(client):
    told = client.get("/v1/search", params={"q": "trên phố rồi văn phòng", "limit": 3})
    read = TypeAdapter(SearchOut).validate_json(told.content, strict=True)
    assert read.hits[0].chain and read.snapshot == told.json()["snapshot"]


def test_answers_are_packed_for_other_servers():
    answer = Answer(b'{"hits":[],"next":"', "tag", "s1", 50, True)
    assert Answer.unpack(answer.pack()) == answer
    for poisoned in (b"", b"x", b'"t" s -1\n{', b'"t" s 1\nno json', b"\xff\xfe", b'"t" s 1 2\n{'):
        assert Answer.unpack(poisoned) is None


def test_presets_are_other_orders_of_the_same_question(client):
    ask = lambda **more: client.get("/v1/search", params={"q": "người trong văn phòng màu trắng", "limit": 20} | more)  # noqa: E731
    default, ranks, text = ask().json(), ask(preset="rrf").json(), ask(preset="text only").json()
    assert ask(preset="balanced").json()["hits"] == default["hits"]
    assert [hit["score"] for hit in ranks["hits"]] != [hit["score"] for hit in default["hits"]]
    assert {name for hit in text["hits"] for name in hit["channels"]} == {"text"}
    assert ask(preset="rrf").json()["hits"] == ranks["hits"]  # kept under a key of its own
    assert client.post("/v1/search", json={"q": "người", "preset": "rrf"}).status_code == 200
    assert ask(preset="best").status_code == 422
    other = ask(preset="text only", limit=1).json()["next"]
    assert ask(preset="rrf", limit=1, cursor=other).status_code == 400  # another question
    assert ask(q="", like="cockatoo_cc0/0", preset="text only").status_code == 422  # nothing to look with


def test_a_step_is_read_on_the_page_as_it_is_asked(client):
    """“sau 10 phút …” leads a step; as a question of its own its two times would cross."""
    step = {"q": "trên phố", "then": "sau 10 phút văn phòng trước 5 phút"}
    assert client.get("/v1/search", params=step).status_code == 200
    assert client.get("/", params=step).status_code == 200
