"""What stands around every request: headers, the same-site rule, logs without what people asked."""

import json
import re

import pytest

from khung.web.render import static


@pytest.mark.parametrize(
    "url",
    ["/", "/?q=ph", "/health", "/v1/search", "/nowhere", "/static/khung.css", "/v1/videos/googlework_short/media"],
)
def test_every_answer_is_guarded(client, url):
    headers = client.get(url).headers
    csp = headers["content-security-policy"]
    assert "default-src 'none'" in csp and "unsafe" not in csp and "frame-ancestors 'none'" in csp
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"


def test_scripts_are_kept_for_ever_only_under_the_version_of_them_all(client):
    named = client.get(static("main.js"))
    assert "immutable" in named.headers["cache-control"]
    assert named.content == client.get("/static/main.js").content
    for other in ("/static/main.js", "/static/v-0123/main.js"):
        assert (client.get(other).status_code, client.get(other).headers["cache-control"]) == (200, "no-cache")
    assert client.get("/static/v-0123/../render.py").status_code == 404


def test_a_page_asks_for_all_its_scripts_at_once(client):
    html = client.get("/").text
    asked = re.findall(r'rel="modulepreload" href="([^"]+)"', html)
    assert len(asked) > 10 and all(client.get(one).headers["cache-control"].endswith("immutable") for one in asked)


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_sites_may_not_change_anything(client, site):
    answer = client.post("/v1/query-images", headers={"sec-fetch-site": site})
    assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json")
    assert client.get("/health", headers={"sec-fetch-site": site}).status_code == 200
    assert client.post("/v1/search", json={"q": "phố"}, headers={"sec-fetch-site": "same-origin"}).status_code == 200


def test_logs_hold_no_query_and_no_id(client, khung_log):
    client.get("/v1/search", params={"q": "bí mật\nlevel=error", "video": "googlework_short"})
    client.get("/v1/frames/googlework_short/0")
    lines = list(khung_log)
    told = [json.loads(line) for line in lines]
    assert [line["route"] for line in told] == ["/v1/search", "/v1/frames/{video_id}/{frame_index}"]
    assert "mật" not in "".join(lines) and "googlework" not in "".join(lines)
    assert all(line["status"] == 200 and line["took_ms"] >= 0 for line in told)


@pytest.mark.parametrize("path", ["/library/", "/v1/search/?q=x", "/contest/", "/v1/videos/", "/docs/"])
def test_nobody_is_sent_to_the_name_that_the_host_header_gives(client, path):
    answer = client.get(path, headers={"host": "evil.localhost"}, follow_redirects=False)
    assert answer.status_code == 404 and "evil" not in str(answer.headers)
