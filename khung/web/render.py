"""Templates into pages: the environment and the few filters that templates need. Autoescape is always on."""

import hashlib
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

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
    env.filters |= {
        "marked": lit,
        "short_time": short_time,
        "clock": clock,
        "tenths": tenths,
        "shares": shares,
        "breakable": breakable,
        "ticked": ticked,
    }
    env.globals |= {"static": static, "modules": modules, "caption": caption, "reason": reason}
    return env


def render(template: str, **values: Any) -> str:
    return environment().get_template(template).render(**values)


def static(name: str) -> str:
    """The address of a static file; it changes with the content of any of them."""
    return f"/static/v-{static_version()}/{name}"


@lru_cache(maxsize=1)
def static_version() -> str:
    """A hash of all static files: modules import each other, so they go together."""
    files = sorted(STATIC.iterdir())
    return hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()[:12]


@lru_cache(maxsize=1)
def modules() -> tuple[str, ...]:
    """The addresses of all ES modules, so that a page asks for them at once and not one after the other's import."""
    return tuple(static(file.name) for file in sorted(STATIC.glob("*.js")) if file.name != "main.js")


def caption(frame: Any, language: str) -> str:
    """The sentence in that language, or in another, or at least the frame's id."""
    return frame.captions.get(language) or next(filter(None, frame.captions.values()), frame.id)


def breakable(name: str) -> Markup:
    """A file's name, escaped, that may be broken where its words part, and before its ending."""
    return Markup("<wbr>").join(escape(part) for part in re.split(r"(?<=[_-])|(?=\.)", str(name)) if part)


def ticked(text: str) -> Markup:
    """Text, escaped, with what stands in `back quotes` as code."""
    parts = [escape(part) for part in text.split("`")]
    return Markup("").join(Markup("<code>{}</code>").format(part) if n % 2 else part for n, part in enumerate(parts))


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
