"""Templates into pages: the environment and the few filters that templates need. Autoescape is always on."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2

from khung.timecode import format_ms
from khung.web.highlight import lit, shows
from khung.web.values import reason

HERE = Path(__file__).parent
STATIC = HERE / "static"


@lru_cache(maxsize=1)
def environment() -> jinja2.Environment:
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.tests["shows"] = shows
    env.filters |= {"marked": lit, "short_time": short_time, "clock": clock, "tenths": tenths, "shares": shares}
    env.globals |= {"static": static, "caption": caption, "reason": reason}
    return env


def render(template: str, **values: Any) -> str:
    return environment().get_template(template).render(**values)


@lru_cache(maxsize=64)
def static(name: str) -> str:
    """The address of a static file; it changes with the content."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


def caption(frame: Any, language: str) -> str:
    """The sentence in that language, or in another, or at least the frame's id."""
    return frame.captions.get(language) or next(filter(None, frame.captions.values()), frame.id)


def short_time(timecode: str) -> str:
    """`0:05.250` → `0:05`: enough on a thumbnail."""
    return timecode.partition(".")[0]


def clock(ms: int) -> str:
    return short_time(format_ms(ms))


def tenths(ms: int) -> str:
    """`5250` → `0:05.2`: for what may be shorter than a second."""
    return format_ms(ms)[:-2]


def shares(hit: Any) -> list[tuple[str, float, float]]:
    """`(channel, left, width)` in percent of the card: the parts that the channels gave, together as long as the score."""
    bars, left = [], 0.0
    total = sum(max(channel.share, 0.0) for channel in hit.channels.values())
    for name, channel in hit.channels.items():
        width = round(100 * hit.score * max(channel.share, 0.0) / total, 1) if total else 0.0
        bars.append((name, round(left, 1), width))
        left += width
    return bars
