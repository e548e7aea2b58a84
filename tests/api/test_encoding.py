"""Questions into vectors on another machine: the real service on a real port, and servers that misbehave."""

import base64
import json

import httpx
import numpy as np
import pytest
from pydantic import SecretStr

from khung.api.encoding import create_encoder
from khung.api.serving import Serving
from khung.errors import ModelError, VectorSpaceMismatch
from khung.search.encoders import QueryEncoders
from khung.search.engine import SearchRequest
from khung.settings import EncoderSettings, Settings
from khung.shards.shelf import Shelf
from khung.stores.archive_local import LocalArchive
from khung.stores.ledger_sqlite import SqliteLedger
from khung.stores.library import Library
from khung.vision.remote_encoder import RemoteEncoder
from tests.support.moody_server import MoodyServer, drip, fail, reset, sends, slow, truncated
from tests.support.served import served
from tests.support.small_home import ColourEmbedder, add, put_in_service, settings_for


class Large(ColourEmbedder):
    """The colours under a name that only a large model has, so that it is asked elsewhere."""

    fingerprint = "gme-2b@0123/float32/tokens-64/sequential/1"


KEY = "a key"


def held(*servers: str, key: str = KEY, **more) -> EncoderSettings:
    return EncoderSettings(servers=servers, api_key=SecretStr(key), _env_file=None, **more)


@pytest.fixture(scope="module")
def address():
    settings = Settings(_env_file=None, encoder=held())
    with served(create_encoder(settings, QueryEncoders(settings, [Large()]))) as address:
        yield f"{address}/v1"


@pytest.fixture
def remote(address):
    return RemoteEncoder(Large.fingerprint, held(address))


def test_the_vectors_are_those_of_the_model_itself(remote):
    texts = ["màu đỏ", "white", "một câu không có màu"]
    np.testing.assert_array_equal(remote.embed_texts(texts), Large().embed_texts(texts))
    picture = np.random.default_rng(1).integers(0, 256, (90, 160, 3), dtype=np.uint8)
    np.testing.assert_array_equal(remote.embed_images([picture]), Large().embed_images([picture]))
    assert remote.dim == 64
    assert remote.embed_texts([]).shape == (0, 64)


def test_a_large_picture_is_sent_as_small_as_a_model_sees_it(remote):
    picture = np.full((4000, 6000, 3), (200, 30, 30), np.uint8)
    np.testing.assert_allclose(remote.embed_images([picture]), Large().embed_images([picture]), atol=1e-3)


def test_another_model_is_refused_by_name_with_the_cure(address):
    with pytest.raises(VectorSpaceMismatch, match="gme-7b@9") as told:
        RemoteEncoder("gme-7b@9/float32/tokens-64/sequential/1", held(address)).embed_texts(["a"])
    assert "khung encode-serve" in told.value.cure


def test_the_key_is_asked_for(address):
    with pytest.raises(ModelError, match="KHUNG_ENCODER_API_KEY"):
        RemoteEncoder(Large.fingerprint, held(address, key="wrong")).embed_texts(["a"])
    assert httpx.get(address.replace("/v1", "/health")).status_code == 200
    assert "http_server_request" in httpx.get(address.replace("/v1", "/metrics")).text


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"fingerprint": Large.fingerprint, "texts": ["a"] * 65}, 422),
        ({"fingerprint": Large.fingerprint, "texts": ["a" * 4001]}, 422),
        ({"fingerprint": Large.fingerprint, "images": ["no base64!"]}, 422),
        ({"fingerprint": Large.fingerprint, "images": [base64.b64encode(b"no picture").decode()]}, 422),
        ({"fingerprint": "x" * 401}, 422),
        ({"fingerprint": "../../etc/passwd", "texts": ["a"]}, 409),
        ({"fingerprint": Large.fingerprint}, 200),
        ([], 422),
    ],
)
def test_what_a_stranger_sends(address, body, status):
    answer = httpx.post(f"{address}/vectors", json=body, headers={"authorization": f"Bearer {KEY}"}, timeout=30)
    assert answer.status_code == status
    assert "Traceback" not in answer.text


def test_a_picture_that_is_a_bomb_is_refused_before_it_is_decoded(address):
    import io
    import zlib

    def chunk(kind, data):
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    size = (50_000).to_bytes(4, "big") * 2
    bomb = io.BytesIO(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size + b"\x08\x02\0\0\0") + chunk(b"IEND", b""))
    body = {"fingerprint": Large.fingerprint, "images": [base64.b64encode(bomb.getvalue()).decode()]}
    answer = httpx.post(f"{address}/vectors", json=body, headers={"authorization": f"Bearer {KEY}"}, timeout=30)
    assert answer.status_code == 422


def wrong(**changes):
    answer = {"fingerprint": Large.fingerprint, "dim": 2, "vectors": base64.b64encode(np.array([1, 0], "<f4")).decode()}
    return sends(json.dumps(answer | changes).encode())


def numbers(*values):
    return base64.b64encode(np.array(values, "<f4")).decode()


@pytest.mark.parametrize(
    ("mood", "error"),
    [
        (wrong(fingerprint="another"), VectorSpaceMismatch),
        (wrong(dim=3), ModelError),
        (wrong(dim="many"), ModelError),
        (wrong(vectors=numbers(1, np.nan)), ModelError),
        (wrong(vectors=numbers(3, 4)), ModelError),
        (wrong(vectors="%%%"), ModelError),
        (wrong(vectors=None), ModelError),
        (fail(500), ModelError),
        (truncated, ModelError),
        (reset, ModelError),
        (drip, ModelError),
        (slow(60), ModelError),
        (sends(b"[]"), ModelError),
    ],
)
def test_a_server_that_misbehaves_is_an_error_in_time(mood, error):
    with MoodyServer([mood]) as server, pytest.raises(error):
        RemoteEncoder(Large.fingerprint, held(server.url, timeout_s=0.3)).embed_texts(["a"])


def test_a_good_answer_after_a_bad_one():
    with MoodyServer([fail(503), wrong()]) as server:
        assert RemoteEncoder(Large.fingerprint, held(server.url)).embed_texts(["a"]).tolist() == [[1, 0]]


def test_the_search_goes_on_without_and_leaves_the_dead_server_alone(tmp_path, clips, address):
    """The whole way: a snapshot of a large model, its encoder elsewhere; then that machine is gone."""
    settings = settings_for(tmp_path)
    library, ledger = Library(LocalArchive(settings.archive_dir)), SqliteLedger(settings.ledger_path)
    put_in_service(settings, [add(library, ledger, clips / "nasa_13013.mp4")], Large.fingerprint)

    def engine_of(*servers):
        asking = settings.model_copy(update={"encoder": held(*servers)})
        serving = Serving(Shelf(settings.shelf_dir), QueryEncoders(asking))
        assert serving.refresh()
        return serving

    alive = engine_of(address)
    with alive.borrow() as here:
        assert here.engine.search(SearchRequest("màu đen")).degraded == []
    alive.close()

    with MoodyServer([fail(500)]) as server:
        dead = engine_of(server.url)
        with dead.borrow() as here:
            for number in range(6):
                (missing,) = here.engine.search(SearchRequest(f"tối {number}")).degraded
                assert missing.channel == "vector"
            assert len(server.requests) == 3, "then it rests, and nobody waits for it"
        dead.close()


def test_questions_that_were_asked_before_need_no_server(address):
    settings = Settings(_env_file=None, encoder=held(address))
    app = create_encoder(Settings(_env_file=None, encoder=held()), QueryEncoders(settings, [Large()]))
    with served(app) as mine:
        asking = Settings(_env_file=None, encoder=held(f"{mine}/v1", timeout_s=1.0))
        encoder = QueryEncoders(asking).of(Large.fingerprint)
        before = encoder.embed_texts(["Màu  ĐỎ"])
    np.testing.assert_array_equal(encoder.embed_texts(["Màu ĐỎ "]), before)
    with pytest.raises(ModelError):
        encoder.embed_texts(["màu khác"])


def test_of_many_models_only_the_last_are_held():
    class Named(ColourEmbedder):
        def __init__(self, name):
            self.fingerprint = name

    encoders = QueryEncoders(Settings(_env_file=None), [Named("a"), Named("b"), Named("c")], most=2)
    first = encoders.of("a")
    assert encoders.of("a") is first
    encoders.of("b"), encoders.of("c")
    assert encoders.of("a") is not first
