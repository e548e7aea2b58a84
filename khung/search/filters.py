"""Hard conditions from two sides, the request's and the question's or a step's, joined by AND."""

from khung.search.parsed import Hard
from khung.stores import FrameFilter


def narrowed(a: FrameFilter, b: FrameFilter) -> FrameFilter | None:
    """The filter that passes what both pass; None when nothing can pass."""
    videos = _both(a.videos, b.videos)
    facets = {name: _both(a.facets.get(name, ()), b.facets.get(name, ())) for name in {*a.facets, *b.facets}}
    from_ms = max((t for t in (a.from_ms, b.from_ms) if t is not None), default=None)
    to_ms = min((t for t in (a.to_ms, b.to_ms) if t is not None), default=None)
    if videos is None or None in facets.values() or (from_ms is not None and to_ms is not None and from_ms >= to_ms):
        return None
    return FrameFilter(
        videos=videos,
        not_videos=_union(a.not_videos, b.not_videos),
        from_ms=from_ms,
        to_ms=to_ms,
        objects=_union(a.objects, b.objects),
        not_objects=_union(a.not_objects, b.not_objects),
        facets={name: values for name, values in facets.items() if values},
    )


def joined(a: Hard, b: Hard) -> Hard | None:
    """The conditions that pass what both pass; None when nothing can pass."""
    where = narrowed(a.where, b.where)
    last_ms = min((ms for ms in (a.last_ms, b.last_ms) if ms is not None), default=None)
    return None if where is None else Hard(where, last_ms, _union(a.must_show, b.must_show))


def _both(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, ...] | None:
    """Values that both allow; an empty side allows all. None when they have nothing in common."""
    if not a or not b:
        return a or b
    return tuple(value for value in a if value in b) or None


def _union(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*a, *b)))
