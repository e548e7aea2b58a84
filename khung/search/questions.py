"""From a request and its reading to what the channels are asked: one question a step, with depth, filter and weights.

What is asked of nothing is refused here. Reading text is `query.py`; asking is `engine.py`.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from khung.errors import QueryError
from khung.search.channels import Question
from khung.search.fusion import PRESETS, Weights
from khung.search.parsed import Event, Gap, Hard, ParsedQuery
from khung.search.query import MAX_EVENTS, parse
from khung.search.request import SearchRequest

Allowed = Callable[[Hard], np.ndarray | None]
"""Conditions of one step's own → ascending ids of the frames that meet them and those of the whole question; None: all frames."""

DEPTH, SEQUENCE_DEPTH = 300, 3_000
"""How far each channel looks for one event; further when the page lies deeper."""


def with_steps(parsed: ParsedQuery, request: SearchRequest) -> ParsedQuery:
    """The further steps as further events, each read like a question of its own: its “then” makes more of them, its conditions are
    its own, and a duration may be the time since the step before. A picture or a frame alone is the first."""
    pictured = request.image is not None or request.like or parsed.like or request.more
    steps = [(step, parse(step, further=True)) for step in request.then if step.strip()]
    events, gaps = parsed.events or ((Event(),) if steps and pictured else ()), _gaps(parsed)
    for said, step in steps:
        gaps += ((step.lead or Gap(),) if events else ()) + _gaps(step)
        events += _events_of(said, step)
    if len(events) > MAX_EVENTS:
        error = QueryError(f"The question has {len(events)} steps.", cure=f"At most {MAX_EVENTS} are followed.")
        raise error.known_as("too_many_steps", steps=len(events), most=MAX_EVENTS)
    return replace(parsed, events=events, gaps=gaps)


def _gaps(parsed: ParsedQuery) -> tuple[Gap, ...]:
    """One fewer than its events."""
    return parsed.gaps[: max(len(parsed.events) - 1, 0)]


def _events_of(said: str, step: ParsedQuery) -> tuple[Event, ...]:
    """What a step asks to be seen. Raises QueryError when that is nothing: conditions alone find no moment."""
    events = step.events or ((Event(),) if step.like else ())
    if not events:
        named = said.strip()[:60]
        cure = "Write what is seen in it; what holds for the whole question belongs into its first line."
        raise QueryError(f"The step “{named}” names nothing to look for.", cure=cure).known_as("empty_step", step=named)
    first = replace(events[0], hard=step.hard, like=step.like)
    return (first, *(replace(event, hard=step.hard) for event in events[1:]))


def is_plain(parsed: ParsedQuery) -> bool:
    """One event in words alone: a suggestion for anything else would lose what was understood."""
    structural = {"then", "gap", "time", "field", "screen_text", "without"}
    return len(parsed.events) == 1 and not any(piece.kind in structural for piece in parsed.pieces)


def check_asked(request: SearchRequest, parsed: ParsedQuery) -> None:
    """Punctuation alone asks for nothing; it must not list the whole library."""
    given = request.image is not None or request.like or parsed.like or request.more
    if not (parsed.events or request.where or parsed.hard or given):
        cure = "Write what to look for, or give a picture, a frame or a filter."
        raise QueryError("Nothing is asked.", cure=cure).known_as("nothing_asked")


def questions_of(request: SearchRequest, parsed: ParsedQuery, allowed: Allowed) -> list[Question]:
    """One for each event; pictures, frames and feedback belong to the first, and `allowed` says which frames each may find."""
    need = request.offset + request.limit
    depth = (SEQUENCE_DEPTH if len(parsed.events) > 1 else DEPTH) * (1 + need // 125)
    directed = Question(
        Event(), parsed.language, depth, None, request.image, request.like or parsed.like, request.more, request.less
    )
    events = parsed.events or ((Event(),) if directed.has_direction else ())
    plain = Question(Event(), parsed.language, depth)
    return [
        replace(
            plain if n else directed,
            event=event,
            like=event.like if n or event.like else directed.like,
            allowed=allowed(event.hard),
        )
        for n, event in enumerate(events)
    ]


def weights_of(preset: str, parsed: ParsedQuery, question: Question) -> Weights:
    if preset not in PRESETS:
        raise QueryError(f"There is no preset “{preset}”.", cure=f"Use one of: {', '.join(PRESETS)}.")
    return PRESETS[preset](parsed, question.event)
