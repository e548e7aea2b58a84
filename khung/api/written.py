"""A page of hits as JSON, written straight from the engine's values: no schema is filled in between, for a search has no time for it.

What a page looks like, khung.api.schemas.found says, and a test holds this to it. What does not live here: what an answer is beside
its page (answers.py), a frame on the page (frame_json.py), records on their own (present.py).
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct
from pydantic import TypeAdapter

from khung.api.frame_json import FrameJson, frames_json
from khung.api.schemas import SearchOut
from khung.records import Hit
from khung.search.engine import SearchResult

_PAGE = TypeAdapter(SearchOut)


class _Channel(Struct, gc=False):
    """ChannelOut of a ChannelScore."""

    raw: float
    normalised: float
    share: float
    why: str


class _Hit(Struct, gc=False):
    """HitOut."""

    frame: FrameJson
    score: float
    channels: dict[str, _Channel]
    more_in_video: int
    chain: list["_Hit"]


def page(result: SearchResult, *, before: Mapping[str, Any] | None = None) -> bytes:
    """SearchOut as JSON in UTF-8, with an empty `next` as its last value; `before` it, what else is to be told. Lone surrogates,
    which no JSON reader takes, never come this far: text is cleaned at the door. Raises CorruptError."""
    frames = iter(frames_json([one.sealed.json for hit in result.hits for one in (hit, *hit.chain)]))
    return msgspec.json.encode(
        {
            **(before or {}),
            "hits": [_hit(one, frames) for one in result.hits],
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


def _hit(one: Hit, frames: Iterator[FrameJson]) -> _Hit:
    """`frames` gives its frame, then those of its chain."""
    return _Hit(
        next(frames),
        one.score,
        {name: _Channel(*of) for name, of in one.channels.items()},
        one.more_in_video,
        [_hit(step, frames) for step in one.chain],
    )
