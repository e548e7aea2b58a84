"""A whole search whose words are asked of a real OpenSearch, and what becomes of it when that fails: named, never passed over in silence."""

import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import servers
from fault_proxy import fault_proxy

from khung.records import vector_id
from khung.search.engine import Engine, SearchRequest
from khung.stores.opensearch_index import connect, delete_index, write_index
from khung.stores.text_opensearch import OpenSearchText
from khung.text import fields
from tests.search.conftest import STREET, WordEmbedder, build, record

pytestmark = pytest.mark.services
ASK = SearchRequest("con chó ban đêm")


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, list[str]]]:
    """An engine whose words are an index of OpenSearch's, and how the answers on the way are spoilt; a channel may take two seconds."""
    url, name, spoil = servers.shared("opensearch"), f"test-{secrets.token_hex(6)}", [""]
    write_index(
        connect(url, timeout_s=60),
        name,
        [(vector_id(record(one).frame_id), fields(one.vi, one.en, one.shown)) for one in STREET],
    )
    folder: Path = tmp_path_factory.mktemp("street")
    with fault_proxy(urlsplit(url).port or 9200, lambda *_: spoil[0]) as port:
        text = OpenSearchText(connect(f"http://127.0.0.1:{port}", timeout_s=30), name)
        yield Engine(replace(build(folder, STREET), text=text), WordEmbedder()), spoil
    delete_index(connect(url, timeout_s=60), name)


@pytest.fixture
def engine(asked: tuple[Engine, list[str]]) -> Engine:
    asked[1][0] = ""
    return asked[0]


def test_with_a_sound_server_every_channel_answers(engine: Engine) -> None:
    result = engine.search(ASK)
    assert result.degraded == []
    assert result.hits[0].record.frame_id == "street/500" and {"vector", "text"} <= result.hits[0].channels.keys()


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("429", "StoreError"),
        ("503", "StoreError"),
        ("partial", "StoreError"),
        ("garbage", "StoreError"),
        ("slow", "timeout"),
    ],
)
def test_what_fails_is_named_and_the_vectors_answer(
    engine: Engine, asked: tuple[Engine, list[str]], monkeypatch: pytest.MonkeyPatch, what: str, reason: str
) -> None:
    if what == "slow":  # two seconds late: later than a channel is waited for
        waits = {"vector": 60.0, "text": 0.3, "screen_text": 0.3, "facets": 60.0}
        monkeypatch.setattr(engine.runner, "_timeouts", waits)
    asked[1][0] = what
    result = engine.search(ASK)
    assert {(one.channel, one.reason) for one in result.degraded} == {("text", reason), ("screen_text", reason)}
    assert result.hits[0].record.frame_id == "street/500"
    assert all("text" not in hit.channels and "screen_text" not in hit.channels for hit in result.hits)
