"""Answers of a search as bytes: made once in the thread that searched, kept, and sent as they are to everyone who asks the same.

Only the cursor differs from caller to caller. It is the last value of the JSON, so an answer is a head that is shared and a
tail of a few bytes.
"""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fastapi import Request
from fastapi.responses import Response

import khung
from khung.api import cursor, written
from khung.api.cursor import Cursor
from khung.api.headers import RAW
from khung.api.kept import Kept
from khung.api.media import etag_matches
from khung.api.question import Question
from khung.api.schemas import MAX_DEPTH, SearchOut
from khung.api.signing import Signer
from khung.search.engine import SearchResult

_END = b'"}'
_BESIDE = 1500  # bytes of a quick answer beside all that was sent and asked
_LIFE_S = 600.0  # of a tail: its cursor was made for so much longer that nobody gets a stale one
CACHE_CONTROL = "private, no-cache"  # kept by the browser, asked for by its tag


class Ready(NamedTuple):
    """A whole answer that needs no other layer."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    parts: tuple[bytes, ...] = (b"",)


@dataclass(frozen=True, slots=True)
class Answer:
    """`head` is the JSON up to the cursor's opening quote; `next_offset` is where the next page begins, 0 on the last. `digest` is the
    same wherever and whenever it is worked out, although `took_ms` is not: it names the answer and not its bytes."""

    head: bytes
    digest: str
    snapshot_id: str
    next_offset: int
    whole: bool  # no channel was missing: it may be kept

    @classmethod
    def of(cls, question: Question, result: SearchResult, key: str) -> "Answer":
        """`key` names all that the result depends on but what failed and what was not ready yet."""
        end = question.offset + question.limit
        more = len(result.hits) == question.limit and end <= MAX_DEPTH
        names = (
            khung.__version__,
            key,
            result.snapshot_id,
            result.did_you_mean,
            *(one.channel for one in result.degraded),
        )
        digest = hashlib.blake2b("\0".join(names).encode(), digest_size=12).hexdigest()
        head = written.page(result).removesuffix(_END)
        return cls(head, digest, result.snapshot_id, end if more else 0, not result.degraded)

    def shown(self) -> SearchOut:
        """As values, for a page; without the cursor."""
        return written.read(self.head + _END)

    def etag(self, owner: str) -> str:
        """Weak, for the cursor is another at every time; and the caller's, for it is of no use to another."""
        return f'W/"{self.digest}.{owner}"'

    def tail(self, signer: Signer, question: Question, owner: str) -> bytes:
        if not self.next_offset:
            return _END
        return cursor.write(signer, question, Cursor(self.snapshot_id, self.next_offset), owner).encode() + _END

    def pack(self) -> bytes:
        """For a cache that keeps bytes."""
        return f"{self.digest} {self.snapshot_id} {self.next_offset}\n".encode() + self.head

    @classmethod
    def unpack(cls, data: bytes) -> "Answer | None":
        """None for what was not packed here."""
        line, _, head = data.partition(b"\n")
        match line.decode("ascii", "replace").split(" "):
            case [digest, snapshot_id, offset] if offset.isdigit() and head.startswith(b"{"):
                return cls(head, digest, snapshot_id, int(offset), True)
        return None


def respond(request: Request, quick: "Quick") -> Response:
    """200, or 304 for who has it already."""
    headers = {"ETag": quick.etag, "Cache-Control": CACHE_CONTROL}
    if has(request.headers.get("if-none-match"), quick.etag):
        return Response(status_code=304, headers=headers)
    return Response(quick.answer.head + quick.tail, media_type="application/json", headers=headers)


def has(if_none_match: str | None, etag: str) -> bool:
    """Whether the client has it already: weak comparison, RFC 9110 §8.8.3.2."""
    return etag_matches(if_none_match, etag.removeprefix("W/"))


@dataclass(frozen=True, slots=True)
class Quick:
    """An answer under the very bytes of the address that asked for it, with all that is sent of it."""

    answer: Answer
    tail: bytes
    question: Question
    fingerprint: str
    kept_at: float  # time.monotonic()
    etag: str
    headers: tuple[tuple[bytes, bytes], ...]  # the security headers are in it
    size: int  # bytes of memory, about

    @classmethod
    def of(
        cls, answer: Answer, tail: bytes, address: bytes, question: Question, fingerprint: str, owner: str
    ) -> "Quick":
        etag = answer.etag(owner)
        size = len(answer.head) + len(tail) + len(address) + len(question.text) + _BESIDE
        headers = (
            (b"content-type", b"application/json"),
            (b"content-length", str(len(answer.head) + len(tail)).encode()),
            (b"etag", etag.encode()),
            (b"cache-control", CACHE_CONTROL.encode()),
            *RAW,
        )
        return cls(answer, tail, question, fingerprint, time.monotonic(), etag, headers, size)

    @property
    def aged(self) -> bool:
        """It needs a new cursor."""
        return time.monotonic() - self.kept_at > _LIFE_S

    def at_once(self, if_none_match: bytes | None) -> Ready:
        """What to send: the answer, or 304 for who has it already."""
        if if_none_match is not None and has(if_none_match.decode("latin-1"), self.etag):
            return Ready(304, self.headers[2:])
        return Ready(200, self.headers, (self.answer.head, self.tail))


class QuickAnswers:
    """Answers by raw query string and caller: no parsing, no validation, no routing. One event loop only."""

    def __init__(self, max_bytes: int) -> None:
        self._kept: Kept[Quick] = Kept(max_bytes, lambda quick: quick.size)

    def get(self, query: bytes, owner: str, snapshot_id: str | None, fingerprint: str) -> Quick | None:
        """Only from the snapshot in service and the encoder of now. Its tail may be old: `Quick.aged`."""
        quick = self._kept.get((query, owner))
        if quick is None or (quick.answer.snapshot_id == snapshot_id and quick.fingerprint == fingerprint):
            return quick
        return self._kept.drop((query, owner))

    def put(self, query: bytes, owner: str, quick: Quick) -> None:
        if quick.answer.whole:
            self._kept.put((query, owner), quick)
