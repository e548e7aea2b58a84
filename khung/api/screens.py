"""What the templates are given: an answer, a frame's recognised things, a video's shots. Pure; no request, no rendering."""

from itertools import groupby
from typing import Any

from khung.api import present
from khung.api.chips import Link, chips_of, facets_of
from khung.api.pagestate import PAGE_SIZE, PageState
from khung.api.schemas import FACET_FIELDS, MAX_DEPTH, FrameOut, HitOut, SearchOut
from khung.records import FrameRecord
from khung.search.clauses import ENGLISH_FUNCTION_WORDS
from khung.search.query import parse
from khung.text import tokens
from khung.web.highlight import terms_of
from khung.web.strings import Words
from khung.web.values import word


def answer(state: PageState, shown: SearchOut, t: Words) -> dict[str, Any]:
    """What search.html shows of an answer, beside the question itself."""
    missing = ", ".join(t.maybe(f"channel_{one.channel}", one.channel) for one in shown.degraded)
    more = shown.total > state.page * PAGE_SIZE and len(shown.hits) == PAGE_SIZE and state.page * PAGE_SIZE <= MAX_DEPTH
    return {
        "hits": shown.hits,
        "groups": _groups(shown.hits, state.group),
        "video_count": len({hit.frame.video_id for hit in shown.hits}),
        "total": shown.total,
        "chips": chips_of(state, parse(state.q) if state.q else None, t),
        "facets": facets_of(state, shown.facets, t),
        "terms": terms(state),
        "degraded": missing,
        "suggestion": Link(shown.did_you_mean, state.url(q=shown.did_you_mean)) if shown.did_you_mean else None,
        "question_fields": state.question_fields(),
        "snapshot": shown.snapshot,
        "took_ms": shown.took_ms,
        "next_url": state.url(page=state.page + 1) if more else "",
        "previous_url": state.url(page=state.page - 1) if state.page > 1 else "",
    }


def terms(state: PageState) -> frozenset[str]:
    """What to light up. Words that say nothing of a picture would light up everything."""
    asked = [parse(state.q), *(parse(text, further=True) for text in state.then)]
    empty = ENGLISH_FUNCTION_WORDS if any(parsed.language == "en" for parsed in asked) else frozenset()
    events = [event for parsed in asked for event in parsed.events]
    said = [word for event in events for word in tokens(event.text) if word not in empty]
    quoted = [word for event in events for text in event.screen_text for word in tokens(text)]
    return terms_of(word for word in said + quoted if len(word) > 1 or not word.isascii())


def known(frame: FrameOut, state: PageState, t: Words) -> list[Any]:
    """What was recognised, each a link to more of it."""
    found = [("object", label) for label in dict.fromkeys(region.label for region in frame.objects)]
    for name in ("place", "scene_type", "time_of_day", "weather"):
        found.append((name, getattr(frame, name)))
    found += [("color", value) for value in frame.colors] + [("emotion", value) for value in frame.emotions]
    found += [("action", value) for value in frame.actions]
    return [_known_chip(name, value, state, t) for name, value in found if value and value != "unknown"]


def shots(frames: list[FrameRecord]) -> list[dict[str, Any]]:
    """A video's frames, in order of time, by their shots."""
    shots = groupby((present.frame(record) for record in frames), key=lambda frame: frame.shot.index)
    return [_shot(list(group)) for _, group in shots]


def film(here: Any, video: Any) -> dict[str, Any]:
    """A video of the resident snapshot with three of its frames, for the first page."""
    frames = here.snapshot.records.frames_of(video.video_id)
    best = sorted(frames, key=lambda record: -record.keyframe.importance)[:3]
    shown = [present.frame(record) for record in sorted(best, key=lambda record: record.pts_ms)]
    return {"video": present.video(video, here.gist(video.video_id)), "frames": shown}


def _groups(hits: list[HitOut], by: str) -> list[dict[str, Any]]:
    """All hits in one group, or one group a video in the order of its best hit."""
    if not by:
        return [{"video": "", "hits": hits, "first": True}]
    videos = list(dict.fromkeys(hit.frame.video_id for hit in hits))
    return [
        {"video": name, "hits": [hit for hit in hits if hit.frame.video_id == name], "first": name == videos[0]}
        for name in videos
    ]


def _known_chip(name: str, value: str, state: PageState, t: Words) -> dict[str, str]:
    return {"title": t(f"facet_{FACET_FIELDS[name]}"), "label": word(value, t), "url": state.adding(name, value)}


def _shot(frames: list[FrameOut]) -> dict[str, Any]:
    first = frames[0].shot
    return {"index": first.index, "start_ms": first.start_ms, "end_ms": first.end_ms, "frames": frames}
