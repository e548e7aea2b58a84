"""The Archive in an S3 bucket, through the minio client. Works with any S3: nothing here is particular to one server.

A PUT is atomic, so a key is wholly there or not. Each object carries its SHA-256: a body that was cut or changed on the way is
refused. Requests are repeated with growing, jittered pauses; every operation here may be repeated safely.
"""

import hashlib
import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import unquote, urlsplit

from khung.errors import ConfigError, CorruptError, NotFound, Outage, StoreError
from khung.stores.archive_local import check_key
from khung.stores.durable import remove_old
from khung.stores.incoming import incoming

if TYPE_CHECKING:
    from minio import Minio

_SHA256 = "x-amz-meta-sha256"
_FAILING = {
    "InternalError",
    "NoSuchBucket",
    "ServiceUnavailable",
    "SlowDown",
    "XMinioServerNotInitialized",
    "XMinioStorageFull",
}
_MISSING = {"NoSuchKey", "NoSuchObject"}
_PIECE = 1 << 20
_ASIDE = ".aside-"  # how a copy is called while it comes


def client_of(url: str) -> tuple["Minio", str]:
    """`s3://key:secret@host[:port]/bucket` (or `s3+http://…` without TLS) → a client and the bucket's name."""
    import urllib3
    from minio import Minio

    at = urlsplit(url)
    bucket = at.path.strip("/")
    if at.scheme not in ("s3", "s3+http") or not at.hostname or not bucket or "/" in bucket:
        raise ConfigError(
            "The archive's address is wrong.", cure="Write s3://KEY:SECRET@HOST/BUCKET, or s3+http:// without TLS."
        )
    retry = urllib3.Retry(
        total=8,
        backoff_factor=0.1,
        backoff_jitter=0.2,
        status_forcelist=(429, 500, 502, 503, 504),
        allowed_methods=None,
    )
    pool = urllib3.PoolManager(timeout=urllib3.Timeout(connect=5, read=60), maxsize=16, retries=retry)
    return Minio(
        at.hostname + (f":{at.port}" if at.port else ""),
        access_key=unquote(at.username or ""),
        secret_key=unquote(at.password or ""),
        secure=at.scheme == "s3",
        region="us-east-1",  # spares a question before the first request; S3 proper answers with the right one
        http_client=pool,
    ), bucket


class S3Archive:
    """An Archive in one bucket, which is made when it is not there. `cache` holds the copies of `local_path`."""

    def __init__(self, url: str, cache: Path, *, cache_bytes: int = 20 * 2**30) -> None:
        self._s3, self._bucket = client_of(url)
        self._cache = Path(cache)
        self._cache_bytes = cache_bytes
        self._cache.mkdir(parents=True, exist_ok=True)
        with told("open the bucket"):
            if not self._s3.bucket_exists(self._bucket):
                self._make_bucket()

    def put_bytes(self, key: str, data: bytes, *, content_type: str = "application/octet-stream") -> None:
        with told(f"write {check_key(key)}"):
            self._s3.put_object(
                self._bucket, key, io.BytesIO(data), len(data), content_type=content_type,
                metadata={_SHA256: hashlib.sha256(data).hexdigest()},
            )  # fmt: skip

    def put_file(self, key: str, path: Path, *, content_type: str = "application/octet-stream") -> None:
        check_key(key)
        with incoming(path) as source:
            state, size = hashlib.sha256(), 0
            while piece := source.read(_PIECE):
                state.update(piece)
                size += len(piece)
            source.rewind()
            metadata = {_SHA256: state.hexdigest()}
            with told(f"write {key}"):
                self._s3.put_object(self._bucket, key, source, size, content_type=content_type, metadata=metadata)

    def get_bytes(self, key: str) -> bytes:
        out = io.BytesIO()
        self._download(key, out)
        return out.getvalue()

    def open(self, key: str, *, offset: int = 0) -> BinaryIO:
        """A stream as it comes; only whole reads (`get_bytes`, `local_path`) are checked by their SHA-256."""
        size = self.size(key)
        if size is None:
            raise NotFound(f"The archive has no {key}.")
        if offset >= size:
            return io.BytesIO()
        with told(f"read {key}"):
            response = self._s3.get_object(self._bucket, key, offset=offset)
        return io.BufferedReader(_Body(response), _PIECE)  # type: ignore[return-value]

    def local_path(self, key: str) -> Path:
        """A checked copy in the cache; the same bytes are fetched once."""
        with told(f"read {check_key(key)}"):
            etag = str(self._s3.stat_object(self._bucket, key).etag).strip('"')
        name = hashlib.sha256(f"{key}\n{etag}".encode()).hexdigest()[:32] + Path(key).suffix
        path = self._cache / name
        with suppress(FileNotFoundError):  # not there yet, or another process has just made room
            os.utime(path)  # least recently used goes first
            return path
        handle, aside = tempfile.mkstemp(dir=self._cache, prefix=_ASIDE)
        try:
            with os.fdopen(handle, "w+b") as out:
                self._download(key, out)
            os.replace(aside, path)
        except BaseException:
            Path(aside).unlink(missing_ok=True)
            raise
        self._make_room(keep=path)
        return path

    def size(self, key: str) -> int | None:
        try:
            with told(f"read {check_key(key)}"):
                return self._s3.stat_object(self._bucket, key).size
        except NotFound:
            return None

    def keys(self, prefix: str = "") -> Iterator[str]:
        with told("list keys"):
            found = self._s3.list_objects(self._bucket, prefix=prefix, recursive=True)
            return iter(sorted(str(item.object_name) for item in found if not item.is_dir))

    def listing(self) -> Iterator[tuple[str, int, str]]:
        """(key, bytes, etag) of every object, by key: what a backup asks to see what is new."""
        with told("list keys"):
            found = self._s3.list_objects(self._bucket, recursive=True)
            rows = [(str(o.object_name), int(o.size or 0), str(o.etag).strip('"')) for o in found if not o.is_dir]
        return iter(sorted(rows))

    def copy_to(self, key: str, out: BinaryIO) -> None:
        """The object's bytes, checked, into a file that can be read and written. Raises NotFound, CorruptError."""
        self._download(key, out)

    def delete(self, key: str) -> None:
        with told(f"delete {check_key(key)}"):
            self._s3.remove_object(self._bucket, key)

    def tidy(self, *, min_age_s: float = 86_400.0) -> int:
        """Of the copies here. What an upload in parts left in the bucket is the server's: give it a lifecycle rule."""
        return remove_old(self._cache.glob(f"{_ASIDE}*"), min_age_s)

    def _make_bucket(self) -> None:
        from minio.error import S3Error

        try:
            self._s3.make_bucket(self._bucket)
        except S3Error as error:
            if error.code not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):  # another process was first
                raise

    def _download(self, key: str, out: Any) -> None:
        """The whole object, checked. A body that was cut is asked for again."""
        for last_try in (False, False, True):
            out.seek(0)
            out.truncate()
            try:
                return self._download_once(key, out)
            except CorruptError:
                if last_try:
                    raise

    def _download_once(self, key: str, out: Any) -> None:
        import urllib3

        with told(f"read {check_key(key)}"):
            response = self._s3.get_object(self._bucket, key)
            try:
                promised = response.headers.get(_SHA256)
                state = hashlib.sha256()
                for piece in response.stream(_PIECE):
                    state.update(piece)
                    out.write(piece)
            except (urllib3.exceptions.ProtocolError, urllib3.exceptions.ReadTimeoutError) as error:
                raise CorruptError(f"{key} broke off on its way from the archive: {error}.") from error
            finally:
                response.close()
                response.release_conn()
        if promised and state.hexdigest() != promised:
            raise CorruptError(f"{key} came damaged from the archive: its checksum disagrees.")

    def _make_room(self, keep: Path) -> None:
        """Readers that have a copy open keep its bytes."""
        copies = []
        for path in self._cache.iterdir():
            with suppress(FileNotFoundError):  # another process makes room, too
                if not path.name.startswith("."):
                    copies.append((path.stat().st_mtime, path.stat().st_size, path))
        total = sum(size for _, size, _ in copies)
        for _, size, path in sorted(copies):
            if total <= self._cache_bytes:
                return
            if path != keep:
                total -= size
                path.unlink(missing_ok=True)


class _Body(io.RawIOBase):
    """An HTTP response as a raw stream that gives its connection back."""

    def __init__(self, response: Any) -> None:
        self._response = response

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with told("read a stream"):
            data = self._response.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._response.close()
            self._response.release_conn()
        super().close()


@contextmanager
def told(what: str) -> Iterator[None]:
    """The client's many errors as NotFound or StoreError."""
    import urllib3
    from minio.error import MinioException, S3Error

    try:
        yield
    except S3Error as error:
        if error.code in _MISSING:
            raise NotFound(f"The archive has no such key: could not {what}.") from error
        kind = Outage if error.code in _FAILING else StoreError
        raise kind(
            f"The archive could not {what}: {error.code}.",
            cure="Is the S3 server well, the bucket there, the key good?",
        ) from error
    except (MinioException, urllib3.exceptions.HTTPError) as error:
        said = "The archive does not answer."
        raise Outage(f"The archive could not {what}: {error}.", cure="Is the S3 server up?", said=said) from error
