"""The pointer as one S3 object, for many machines without PostgreSQL: a move is one conditional PUT.

`If-None-Match: *` makes the object, `If-Match: <etag>` replaces what was read: of two publishers the server lets one through. A
server that ignores either would let both, so each is tried on a key of its own before the first move. (MinIO before August 2024
ignores `If-None-Match: *`; current MinIO, SeaweedFS, AWS and others keep to it.)
"""

import secrets
import time
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Any

from khung.errors import ConfigError, NotFound, PublishConflict, StoreError
from khung.shards import manifest
from khung.shards.pointer import ANY, POINTER, Pointer, check_expected, moved, without
from khung.stores.archive_s3 import client_of, told

KEY = f"shelf/{POINTER}"
_PROBE = "shelf/probe-"
_TRIES = 20  # against publishers who expect nothing particular and were slower only by chance
_NEW = {"If-None-Match": "*"}


class S3Pointer:
    """The moves so far, in the bucket of `url` (as the archive's), which must be there."""

    def __init__(self, url: str) -> None:
        import urllib3

        self._s3, self._bucket = client_of(url)
        # not repeated below HTTP: after a lost answer the move has to be read again
        self._http = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(connect=5, read=60))
        self._checked = False

    def read(self) -> Pointer:
        return self._read()[0]

    def move(self, snapshot_id: str, reason: str, *, expect: str | None = ANY) -> Pointer:
        """Point to `snapshot_id` if the pointer still is at `expect` (None: at nothing); else PublishConflict.

        Raises ConfigError when the server does not keep to conditions.
        """

        def change(old: Pointer) -> Pointer:
            if old.current == snapshot_id:
                return old  # also when the answer to our own move was lost
            check_expected(old, expect)
            return moved(old, snapshot_id, reason)

        return self._change(change)

    def forget(self, snapshot_ids: Collection[str]) -> None:
        """Take snapshots out of the history, so that nobody rolls back to them. The one in service stays."""
        self._change(lambda old: without(old, snapshot_ids))

    def _change(self, change: Callable[[Pointer], Pointer]) -> Pointer:
        """Read, change, write if nobody wrote in between; else once more."""
        self._check_server()
        for _ in range(_TRIES):
            old, etag = self._read()
            new = change(old)
            if new == old or self._put(KEY, manifest.encode(new), {"If-Match": etag} if etag else _NEW):
                return new
            time.sleep(secrets.randbelow(100) / 1000)  # not in step with whoever else is at it
        raise PublishConflict("Others moved the pointer each time, or the server failed.", cure="Publish again.")

    def _read(self) -> tuple[Pointer, str]:
        """With its ETag as the server wrote it; `""` before the first move."""
        try:
            with told(f"read {KEY}"):
                response = self._s3.get_object(self._bucket, KEY)
                try:
                    return manifest.decode(response.read(), Pointer, KEY), response.headers["ETag"]
                finally:
                    response.close()
                    response.release_conn()
        except NotFound:
            return Pointer(), ""

    def _put(self, key: str, data: bytes, condition: dict[str, str]) -> bool:
        """Whether the condition held. A request that nobody answered is neither: the caller reads again."""
        import urllib3

        url = self._s3.presigned_put_object(self._bucket, key, expires=timedelta(minutes=5))
        try:
            answer: Any = self._http.request("PUT", url, body=data, headers=condition)
        except urllib3.exceptions.HTTPError:
            return False
        if answer.status in (200, 204):
            return True
        if answer.status in (409, 412, 500, 502, 503, 504):
            return False
        raise StoreError(f"The archive could not write {key}: status {answer.status}.", cure="Is the S3 server well?")

    def _check_server(self) -> None:
        if self._checked:
            return
        key = f"{_PROBE}{secrets.token_hex(8)}"
        try:
            made = self._put(key, b"1", _NEW)
            twice, wrong = self._put(key, b"2", _NEW), self._put(key, b"3", {"If-Match": '"0"'})
        finally:
            with told(f"delete {key}"):
                self._s3.remove_object(self._bucket, key)
        if not made:
            raise StoreError("The S3 server did not take the probe of conditional writes.", cure="Publish again.")
        if twice or wrong:
            raise ConfigError(
                "This S3 server ignores conditional writes, so two publishers could both win.",
                cure="Keep the pointer in PostgreSQL (KHUNG_STORES_POSTGRES_URL), or update the S3 server.",
            )
        self._checked = True
