"""The bound by bytes, and time that only goes forward."""

from khung.stores.cache_memory import MemoryCache


def test_the_least_recently_used_goes_first() -> None:
    cache = MemoryCache(max_bytes=5000)
    for name in "abcd":
        cache.put(name, b"x" * 1000, ttl_s=60)
    cache.get("a")
    cache.put("e", b"x" * 1000, ttl_s=60)
    assert cache.get("b") is None
    assert cache.get("a") is not None and cache.get("e") is not None


def test_a_value_larger_than_the_cache_is_not_kept() -> None:
    cache = MemoryCache(max_bytes=1000)
    cache.put("small", b"x", ttl_s=60)
    cache.put("large", b"x" * 2000, ttl_s=60)
    assert cache.get("large") is None
    assert cache.get("small") == b"x"


def test_it_counts_by_its_own_clock() -> None:
    now = [100.0]
    cache = MemoryCache(clock=lambda: now[0])
    cache.put("k", b"x", ttl_s=10)
    now[0] += 9.9
    assert cache.get("k") == b"x"
    now[0] += 0.2
    assert cache.get("k") is None
