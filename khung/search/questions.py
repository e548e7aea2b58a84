"""From a request and its reading to what the channels are asked: one question a step, with depth, filter and weights.

What is asked of nothing is refused here. Reading text is `query.py`; asking is `engine.py`.
"""

from dataclasses import replace

import numpy as np

from khung.errors import QueryError
from khung.search.channels import Question
from khung.search.fusion import PRESETS, Weights
from khung.search.parsed import Event, Gap, ParsedQuery
from khung.search.query import MAX_EVENTS, parse
from khung.search.request import SearchRequest

DEPTH, SEQUENCE_DEPTH = 300, 3_000
"""How far each channel looks for one event; further when the page lies deeper."""


def with_steps(parsed: ParsedQuery, request: SearchRequest) -> ParsedQuery:
    """The further steps as further events, each read like a question of its own; a picture or a frame alone is the first."""
    steps = [parse(step).events[:1] for step in request.then if step.strip()]
    pictured = request.image is not None or request.like or parsed.like or request.more
    events = parsed.events or ((Event(),) if steps and pictured else ())
    events += tuple(event for step in steps for event in step)
    if len(events) > MAX_EVENTS:
        error = QueryError(f"The question has {len(events)} steps.", cure=f"At most {MAX_EVENTS} are followed.")
        raise error.known_as("too_many_steps", steps=len(events), most=MAX_EVENTS)
    gaps = parsed.gaps + (Gap(),) * (max(len(events) - 1, 0) - len(parsed.gaps))
    return replace(parsed, events=events, gaps=gaps)


def is_plain(parsed: ParsedQuery) -> bool:
    """One event in words alone: a suggestion for anything else would lose what was understood."""
    structural = {"then", "gap", "time", "field", "screen_text", "without"}
    return len(parsed.events) == 1 and not any(piece.kind in structural for piece in parsed.pieces)


def check_asked(request: SearchRequest, parsed: ParsedQuery) -> None:
    """Punctuation alone asks for nothing; it must not list the whole library."""
    hard = request.where or parsed.where or parsed.last_ms is not None or parsed.must_show
    if not (parsed.events or hard or request.image is not None or request.like or parsed.like or request.more):
        cure = "Write what to look for, or give a picture, a frame or a filter."
        raise QueryError("Nothing is asked.", cure=cure).known_as("nothing_asked")


def questions_of(request: SearchRequest, parsed: ParsedQuery, allowed: np.ndarray | None) -> list[Question]:
    """One for each event; pictures, frames and feedback belong to the first."""
    need = request.offset + request.limit
    depth = (SEQUENCE_DEPTH if len(parsed.events) > 1 else DEPTH) * (1 + need // 125)
    directed = Question(
        Event(), parsed.language, depth, allowed, request.image, request.like or parsed.like, request.more, request.less
    )
    events = parsed.events or ((Event(),) if directed.has_direction else ())
    plain = Question(Event(), parsed.language, depth, allowed)
    return [replace(plain if n else directed, event=event) for n, event in enumerate(events)]


def weights_of(preset: str, parsed: ParsedQuery, question: Question) -> Weights:
    if preset not in PRESETS:
        raise QueryError(f"There is no preset “{preset}”.", cure=f"Use one of: {', '.join(PRESETS)}.")
    return PRESETS[preset](parsed, question.event)
