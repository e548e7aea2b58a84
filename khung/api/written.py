"""A page of hits as JSON, written straight from the engine's values: no schema is filled in between, for a search has no time for it.

What a page looks like, khung.api.schemas.found says, and a test holds this to it. A frame reads the same on every page, so its
text is kept. What does not live here: what an answer is beside its page (answers.py), records on their own (present.py).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
from pydantic import TypeAdapter

from khung.api import present
from khung.api.schemas import SearchOut
from khung.records import FrameRecord, Hit
from khung.search.engine import SearchResult

KEPT = 64 * 2**20
"""Bytes of frames' texts that a process keeps for one snapshot: some 60,000 frames, half of them those asked for of late."""

_BESIDE = 200  # bytes of a kept text beside its letters
_PAGE = TypeAdapter(SearchOut)


class FrameTexts:
    """The JSON of frames of one snapshot, made when it is first asked for. Thread-safe: a race writes the same text twice.

    Two halves instead of an order of use: a look-up is then one dictionary's, and what was not asked for while a whole half
    filled is let go.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._half, self._size = kept // 2, 0
        self._young: dict[tuple[str, int], bytes] = {}
        self._old: dict[tuple[str, int], bytes] = {}

    def of(self, record: FrameRecord) -> orjson.Fragment:
        at = record.keyframe
        key = (at.video_id, at.frame_index)
        text = self._young.get(key)
        if text is None:
            text = self._old.get(key) or present.frame_json(record)
            self._keep(key, text)
        return orjson.Fragment(text)

    def __len__(self) -> int:
        return len(self._young | self._old)

    def _keep(self, key: tuple[str, int], text: bytes) -> None:
        self._young[key] = text
        self._size += len(text) + _BESIDE
        if self._size > self._half:
            self._old, self._young, self._size = self._young, {}, 0


def page(result: SearchResult, frames: FrameTexts, *, before: Mapping[str, Any] | None = None) -> bytes:
    """SearchOut as JSON in UTF-8, with an empty `next` as its last value; `before` it, what else is to be told. Lone surrogates,
    which no JSON reader takes, never come this far: text is cleaned at the door."""
    return orjson.dumps(
        {
            **(before or {}),
            "hits": _hits(result.hits, frames.of),
            "total": result.total,
            "facets": {name: dict(values) for name, values in result.facets.items()},
            "parsed": result.parsed,
            "degraded": [{"channel": one.channel, "reason": one.reason} for one in result.degraded],
            "snapshot": result.snapshot_id,
            "took_ms": result.took_ms,
            "did_you_mean": result.did_you_mean,
            "next": "",
        }
    )


def read(data: bytes) -> SearchOut:
    """A page that was written here, for who shows it."""
    return _PAGE.validate_json(data)


def _hits(hits: Sequence[Hit], text: Callable[[FrameRecord], orjson.Fragment]) -> list[dict[str, Any]]:
    return [
        {
            "frame": text(one.record),
            "score": one.score,
            "channels": {
                name: {"raw": of.raw, "normalised": of.normalised, "share": of.share, "why": of.why}
                for name, of in one.channels.items()
            },
            "more_in_video": one.more_in_video,
            "chain": _hits(one.chain, text) if one.chain else (),
        }
        for one in hits
    ]
