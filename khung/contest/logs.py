"""What the searcher asked and saw, as DRES's query and result logs: organisers study contests with them.

Pure: a question and its hits in, JSON objects out (`QueryEventLog`, `QueryResultLog`); Dres sends them. Times are
milliseconds since 1970. What does not live here: searching; a question is anything with the fields of `Asked`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, Protocol

from khung.stores import FrameFilter

Category = Literal["TEXT", "IMAGE", "SKETCH", "FILTER", "BROWSING", "COOPERATION", "OTHER"]


class Asked(Protocol):
    """The part of a search request that is logged."""

    @property
    def text(self) -> str: ...
    @property
    def then(self) -> Sequence[str]: ...
    @property
    def image(self) -> object | None: ...
    @property
    def like(self) -> str: ...
    @property
    def where(self) -> FrameFilter: ...
    @property
    def more(self) -> Sequence[str]: ...
    @property
    def less(self) -> Sequence[str]: ...


@dataclass(frozen=True, slots=True)
class Event:
    """One `QueryEvent`. `type` follows the names that VBS teams use: jointEmbedding, globalFeatures, feedbackModel, …"""

    category: Category
    type: str
    value: str
    at_ms: int

    def wire(self) -> dict[str, str | int]:
        return {"timestamp": self.at_ms, "category": self.category, "type": self.type, "value": self.value}


def events_of(asked: Asked, at_ms: int) -> list[Event]:
    """What one search tells: its words step by step, its pictures, its judgements, its filters."""
    found: list[tuple[Category, str, str]] = [("TEXT", "jointEmbedding", asked.text)] if asked.text else []
    found += [("TEXT", "temporalQuery", step) for step in asked.then]
    if asked.image is not None:
        found.append(("IMAGE", "globalFeatures", "uploaded image"))
    if asked.like:
        found.append(("IMAGE", "globalFeatures", asked.like))
    found += [("IMAGE", "feedbackModel", f"+{frame_id}") for frame_id in asked.more]
    found += [("IMAGE", "feedbackModel", f"-{frame_id}") for frame_id in asked.less]
    filters = ((f.name, getattr(asked.where, f.name)) for f in fields(asked.where))
    found += [("FILTER", name, _plain(value)) for name, value in filters if value or value == 0]
    return [Event(category, kind, value, at_ms) for category, kind, value in found]


def query_log(events: Iterable[Event], at_ms: int) -> dict[str, Any]:
    """`QueryEventLog`."""
    return {"timestamp": at_ms, "events": [event.wire() for event in events]}


def result_log(
    shown: Sequence[tuple[str, int]],
    events: Iterable[Event],
    at_ms: int,
    *,
    name_of: Callable[[str], str],
    total: int,
    offset: int = 0,
) -> dict[str, Any]:
    """`QueryResultLog` of what was shown: `(video id, pts_ms)`, best first. `name_of` gives the item's name of a video id (submission.item_name);
    `total` is how many hits there were, `offset` how many stood before the first of these."""
    return {
        "timestamp": at_ms,
        "sortType": "rankingModel",
        "resultSetAvailability": "all" if len(shown) >= total else f"top{offset + len(shown)}",
        "results": [_ranked(name_of(video), at_ms, rank) for rank, (video, at_ms) in enumerate(shown, offset + 1)],
        "events": [event.wire() for event in events],
    }


def _ranked(item: str, at_ms: int, rank: int) -> dict[str, Any]:
    return {"answer": {"mediaItemName": item, "start": at_ms, "end": at_ms}, "rank": rank}


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{name}={_plain(values)}" for name, values in value.items())
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
