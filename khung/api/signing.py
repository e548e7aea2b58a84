"""Tokens that only khung can have made: keyed BLAKE2b (RFC 7693 §2.9) over a purpose and a few values. They can be read, not changed.

What lives here: the secret and the seal. What does not: what a token means; that is cursor.py and access.py.
"""

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Any

import orjson

from khung.errors import ConfigError, KhungError
from khung.settings import Settings

_TAG = 16  # bytes
_MIN_SECRET = 16


class Forged(KhungError):
    """Not a token of this purpose made with this secret. Callers tell the client so in their own words."""


class Signer:
    """Seals and opens tokens with one secret."""

    def __init__(self, secret: bytes) -> None:
        self._key = hashlib.blake2b(secret).digest()  # a key has 64 bytes at most

    @classmethod
    def of(cls, settings: Settings) -> "Signer":
        """With the secret of the settings, or one that is made once and kept in HOME for all workers and restarts."""
        given = settings.serve.secret.get_secret_value().encode()
        if given and len(given) < _MIN_SECRET:
            raise ConfigError("KHUNG_SERVE_SECRET is too short.", cure=f"Use {_MIN_SECRET} characters or more.")
        return cls(given or kept_secret(settings.secret_path))

    def seal(self, purpose: str, values: Any) -> str:
        """A token of URL-safe characters."""
        body = orjson.dumps(values)
        return f"{_text(body)}.{_text(self._tag(purpose, body))}"

    def open(self, purpose: str, token: str) -> Any:
        """The values that were sealed. Raises Forged."""
        body, _, tag = token.partition(".")
        try:
            data, given = _bytes(body), _bytes(tag)
        except (binascii.Error, ValueError) as error:
            raise Forged("This token is not one of khung's.") from error
        if not hmac.compare_digest(given, self._tag(purpose, data)):
            raise Forged("This token was not made here.")
        return orjson.loads(data)

    def _tag(self, purpose: str, body: bytes) -> bytes:
        return hashlib.blake2b(body, key=self._key, person=purpose.encode(), digest_size=_TAG).digest()


def kept_secret(path: Path) -> bytes:
    """The secret in the file, made by whoever comes first; others of the same moment get that one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        aside = path.with_name(f".{path.name}.{secrets.token_hex(6)}.aside")
        with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(secrets.token_hex(32).encode())
            out.flush()
            os.fsync(out.fileno())
        try:
            os.link(aside, path)
        except FileExistsError:
            pass  # another worker was first
        finally:
            aside.unlink()
    secret = path.read_bytes().strip()
    if len(secret) < _MIN_SECRET:
        raise ConfigError(f"{path} holds no secret.", cure="Delete it; a new one is made. Cursors and logins end.")
    return secret


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    """Strict: one text for one value, so that a token cannot be written in two ways."""
    data = base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _text(data) != text:
        raise ValueError("not canonical")
    return data
