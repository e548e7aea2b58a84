"""Pictures and videos over HTTP: ranges, validators, caching, HEAD, and no way out of the archive."""

import pytest

VIDEO = "/v1/videos/googlework_short/media"
THUMB = "/v1/images/googlework_short/0/thumb.webp"


@pytest.fixture(scope="module")
def whole(clips):
    return (clips / "googlework_short.mp4").read_bytes()


def test_the_whole_file(client, whole):
    answer = client.get(VIDEO)
    assert (answer.status_code, answer.content) == (200, whole)
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-length"] == str(len(whole))
    assert answer.headers["content-type"] == "video/mp4"


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [("bytes=0-99", 0, 100), ("bytes=1000-", 1000, None), ("bytes=-300", -300, None), ("bytes=5-999999999", 5, None)],
)
def test_a_range(client, whole, header, start, stop):
    answer = client.get(VIDEO, headers={"range": header})
    expected = whole[start:stop]
    assert (answer.status_code, answer.content) == (206, expected)
    first = whole.index(expected)
    assert answer.headers["content-range"] == f"bytes {first}-{first + len(expected) - 1}/{len(whole)}"


def test_a_range_outside(client, whole):
    answer = client.get(VIDEO, headers={"range": f"bytes={len(whole)}-"})
    assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{len(whole)}")


def test_a_range_that_is_none_gives_everything(client, whole):
    for header in ("bytes=9-1", "pages=1-2", "bytes=0-1,4-5", "nonsense"):
        assert client.get(VIDEO, headers={"range": header}).content == whole


def test_head_tells_and_sends_nothing(client, whole):
    answer = client.head(VIDEO)
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", str(len(whole)))
    assert client.head(VIDEO, headers={"range": "bytes=0-9"}).headers["content-length"] == "10"
    assert client.head(THUMB).status_code == 200


def test_if_range_holds_only_for_the_same_bytes(client):
    etag = client.head(VIDEO).headers["etag"]
    assert client.get(VIDEO, headers={"range": "bytes=0-9", "if-range": etag}).status_code == 206
    assert client.get(VIDEO, headers={"range": "bytes=0-9", "if-range": '"other"'}).status_code == 200


@pytest.mark.parametrize("url", [VIDEO, THUMB])
def test_what_the_client_has_is_not_sent_again(client, url):
    etag = client.get(url).headers["etag"]
    for known in (etag, f'"x", W/{etag}', "*"):
        answer = client.get(url, headers={"if-none-match": known})
        assert (answer.status_code, answer.content) == (304, b"")
    assert client.get(url, headers={"if-none-match": '"x"'}).status_code == 200


def test_a_versioned_picture_is_kept_for_ever_and_a_plain_one_asked_again(client):
    assert "immutable" in client.get(THUMB + "?v=1").headers["cache-control"]
    assert client.get(THUMB).headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    ("variant", "kind"),
    [("thumb.webp", "webp"), ("display.webp", "webp"), ("display.avif", "avif"), ("master.jpg", "jpeg")],
)
def test_variants(client, variant, kind):
    answer = client.get(f"/v1/images/googlework_short/0/{variant}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, f"image/{kind}")
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "url",
    [
        "/v1/images/googlework_short/1/thumb.webp",
        "/v1/images/googlework_short/0/other.webp",
        "/v1/images/nobody/0/thumb.webp",
        "/v1/videos/nobody/media",
        "/v1/videos/nobody/sheet",
        "/v1/images/..%2f..%2fetc/0/thumb.webp",
        "/v1/images/googlework_short/0/..%2f..%2f..%2fvideo.json",
        "/v1/videos/..%2f..%2f..%2fetc%2fpasswd/media",
        "/v1/videos/%2e%2e/media",
        "/v1/images/googlework_short/-1/thumb.webp",
        "/v1/images/googlework_short/99999999999/thumb.webp",
        "/static/../../settings.py",
        "/static/%2e%2e/%2e%2e/settings.py",
    ],
)
def test_no_way_out(client, url):
    answer = client.get(url)
    assert answer.status_code in (404, 422)
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_player_gets_the_copy_and_whoever_asks_the_original(client, clips):
    url, original = "/v1/videos/cockatoo_cc0/media", (clips / "cockatoo_cc0.mp4").read_bytes()
    copy = client.get(url)
    assert copy.status_code == 200 and copy.content != original
    assert copy.content[4:8] == b"ftyp" and copy.content.index(b"moov") < copy.content.index(b"mdat")
    assert client.get(url, headers={"range": "bytes=0-9"}).content == copy.content[:10]
    assert client.get(url, params={"original": True}).content == original
    etags = {client.head(url, params={"original": one}).headers["etag"] for one in (True, False)}
    assert len(etags) == 2


def test_without_a_copy_there_is_the_original(client):
    assert client.get("/v1/videos/old_clip/media").headers["content-type"] == "video/x-msvideo"
    told = client.get("/v1/videos/old_clip").json()["video"]
    assert not told["playable"] and told["original"] == "/v1/videos/old_clip/media?original=true"
