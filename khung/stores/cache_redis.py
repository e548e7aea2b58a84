"""The QueryCache in Redis or Valkey. Whatever goes wrong there is a miss, and costs at most one short time-out a second."""

import hashlib
import time
from collections.abc import Callable
from typing import Any

_CHECK = 8  # bytes of checksum before each value: what another program put under our key is a miss


class RedisCache:
    """Thread-safe. `timeout_s` bounds each request; after a failure the server is left alone for `pause_s`."""

    def __init__(self, url: str, *, prefix: str = "khung:", timeout_s: float = 0.02, pause_s: float = 1.0) -> None:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        self._redis = redis.Redis.from_url(
            url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=Retry(NoBackoff(), 0)
        )
        self._prefix = prefix.encode()
        self._pause_s = pause_s
        self._rests_until = 0.0

    def get(self, key: str) -> bytes | None:
        found = self._ask(lambda: self._redis.get(self._name(key)))
        if not isinstance(found, bytes) or found[:_CHECK] != _checksum(found[_CHECK:]):
            return None
        return found[_CHECK:]

    def put(self, key: str, value: bytes, *, ttl_s: float) -> None:
        if (ttl_ms := int(ttl_s * 1000)) > 0:
            self._ask(lambda: self._redis.set(self._name(key), _checksum(value) + value, px=ttl_ms))

    def close(self) -> None:
        self._redis.close()

    def _ask(self, question: Callable[[], Any]) -> Any:
        """None when the server fails or rests after a failure."""
        import redis

        if time.monotonic() < self._rests_until:
            return None
        try:
            return question()
        except redis.ResponseError:  # the key holds something that is no string
            return None
        except redis.RedisError:
            self._rests_until = time.monotonic() + self._pause_s
            return None

    def _name(self, key: str) -> bytes:
        return self._prefix + hashlib.sha256(key.encode()).digest()


def _checksum(value: bytes) -> bytes:
    return hashlib.blake2b(value, digest_size=_CHECK).digest()
