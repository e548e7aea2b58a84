"""What every QueryCache promises."""

import secrets
import threading
import time

import pytest
import servers

from khung.stores import QueryCache
from khung.stores.cache_redis import RedisCache

pytestmark = pytest.mark.services


@pytest.fixture
def cache() -> QueryCache:
    """The machine may be busy, hence the long time-out."""
    return RedisCache(servers.shared("redis"), prefix=f"{secrets.token_hex(6)}:", timeout_s=2)


def test_what_was_put_comes_back(cache: QueryCache) -> None:
    assert cache.get("k") is None
    cache.put("k", b"one", ttl_s=60)
    cache.put("k", b"two", ttl_s=60)
    cache.put("empty", b"", ttl_s=60)
    assert cache.get("k") == b"two"
    assert cache.get("empty") == b""


def test_strange_keys(cache: QueryCache) -> None:
    cache.put("khoá\n“lạ” 🎬", b"x", ttl_s=60)
    assert cache.get("khoá\n“lạ” 🎬") == b"x"


def test_a_value_is_gone_after_its_time(cache: QueryCache) -> None:
    cache.put("short", b"x", ttl_s=0.05)
    cache.put("long", b"x", ttl_s=60)
    time.sleep(0.1)
    assert cache.get("short") is None
    assert cache.get("long") == b"x"


def test_no_time_to_live_is_no_value(cache: QueryCache) -> None:
    cache.put("k", b"x", ttl_s=0)
    assert cache.get("k") is None


def test_threads(cache: QueryCache) -> None:
    wrong: list[bytes | None] = []

    def churn(number: int) -> None:
        for turn in range(200):
            cache.put(f"{number}-{turn}", str(turn).encode(), ttl_s=60)
            got = cache.get(f"{number}-{turn}")
            if got != str(turn).encode():
                wrong.append(got)

    threads = [threading.Thread(target=churn, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
