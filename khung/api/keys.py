"""API keys: made here, kept as SHA-256 in one small file, read again by every worker within seconds of a change.

A key is `khung_<id>_<secret>`; the secret is 32 random bytes and is shown once. The file holds nothing that opens a door, so it
may be mounted from a secret store or copied to every machine. What a key may do at which address is access.py.
"""

import hashlib
import hmac
import json
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from khung.errors import ConfigError, KhungError, NotFound
from khung.stores import tables
from khung.stores.durable import locked, replace_file

log = logging.getLogger("khung.api")

SCOPES = ("search", "upload", "contest", "admin")  # admin may do everything
LOOK_S = 2.0  # between two looks at the file: so long may a revoked key live on


@dataclass(frozen=True, slots=True)
class Key:
    """What is kept of a key. Times are ISO 8601 in UTC; empty: never."""

    id: str
    name: str
    sha256: str
    scopes: tuple[str, ...]
    created_at: str
    expires_at: str = ""
    revoked_at: str = ""

    def good(self, now: datetime) -> bool:
        return not self.revoked_at and (not self.expires_at or now < datetime.fromisoformat(self.expires_at))

    def may(self, scope: str) -> bool:
        return scope in self.scopes or "admin" in self.scopes


def create(path: Path, name: str, scopes: Iterable[str], *, days: float | None = None) -> tuple[str, Key]:
    """A new key: the whole of it, which is not kept, and what is kept. Raises ConfigError."""
    wanted = tuple(dict.fromkeys(scopes))
    if unknown := [scope for scope in wanted if scope not in SCOPES]:
        raise ConfigError(f"There is no scope “{unknown[0]}”.", cure=f"Use {', '.join(SCOPES)}.")
    if not wanted or not name.strip() or (days is not None and days <= 0):
        raise ConfigError("A key needs a name, a scope and a life.", cure="khung keys create NAME --scope search")
    now = datetime.now(UTC)
    key_id, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    whole = f"khung_{key_id}_{secret}"
    expires = (now + timedelta(days=days)).isoformat(timespec="seconds") if days is not None else ""
    key = Key(key_id, name.strip(), _digest(whole), wanted, now.isoformat(timespec="seconds"), expires)
    _change(path, lambda keys: (*keys, key))
    return whole, key


def revoke(path: Path, key_id: str) -> Key:
    """Refused from now on, by every worker within seconds. Raises NotFound."""
    now = datetime.now(UTC).isoformat(timespec="seconds")

    def revoked(keys: tuple[Key, ...]) -> tuple[Key, ...]:
        if not any(key.id == key_id for key in keys):
            raise NotFound(f"There is no key {key_id}.", cure="khung keys list")
        return tuple(replace(key, revoked_at=key.revoked_at or now) if key.id == key_id else key for key in keys)

    return next(key for key in _change(path, revoked) if key.id == key_id)


def read(path: Path) -> tuple[Key, ...]:
    """All keys, the good and the bad; none when there is no file. Raises ConfigError when the file is damaged."""
    try:
        plain = json.loads(path.read_bytes())
        return tuple(tables.from_plain(one, Key) for one in plain["keys"])
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, KeyError, TypeError, KhungError) as error:
        raise ConfigError(f"The keys in {path} cannot be read: {error}", cure="Put a backup of it back.") from error


def _change(path: Path, change: Callable[[tuple[Key, ...]], tuple[Key, ...]]) -> tuple[Key, ...]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_name(path.name + ".lock")):
        keys = change(read(path))
        replace_file(path, json.dumps({"keys": [asdict(key) for key in keys]}, indent=1, ensure_ascii=False).encode())
    return keys


def _digest(whole: str) -> str:
    return hashlib.sha256(whole.encode("utf-8", "surrogateescape")).hexdigest()


class KeyRing:
    """The keys in the file, as of at most LOOK_S ago. Thread-safe. A damaged file changes nothing: the last keys stay."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock, self._lock = path, clock, threading.Lock()
        self._keys = {key.id: key for key in read(path)}
        self._seen, self._looked_at = _mark(path), clock()

    @property
    def empty(self) -> bool:
        """No key was ever made."""
        self._look()
        return not self._keys

    def find(self, whole: str) -> Key | None:
        """The good key with this secret."""
        self._look()
        prefix, _, rest = whole.partition("_")
        key = self._keys.get(rest.partition("_")[0]) if prefix == "khung" else None
        if key is None or not hmac.compare_digest(_digest(whole), key.sha256):
            return None
        return key if key.good(datetime.now(UTC)) else None

    def by_id(self, key_id: str) -> Key | None:
        """The good key with this id: for who has shown its secret before."""
        self._look()
        key = self._keys.get(key_id)
        return key if key and key.good(datetime.now(UTC)) else None

    def _look(self) -> None:
        with self._lock:
            if self._clock() - self._looked_at < LOOK_S:
                return
            self._looked_at = self._clock()
            seen = _mark(self._path)
            if seen == self._seen:
                return
            try:
                self._keys = {key.id: key for key in read(self._path)}
                self._seen = seen
            except ConfigError as error:
                log.error("keys_unreadable", extra={"reason": str(error)})


def _mark(path: Path) -> tuple[int, int, int]:
    """What changes when the file does."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return (0, 0, 0)
    return (found.st_ino, found.st_mtime_ns, found.st_size)
