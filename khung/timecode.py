"""Times as people write them. Inside khung a time is an integer of milliseconds from the start of the video, a moment of the clock
the text that `utc` gives."""

import re
from datetime import UTC, datetime

from khung.errors import QueryError

_CLOCK = re.compile(r"^(?:(\d+):)?(\d{1,3}):(\d{1,2})(?:[.,](\d{1,3}))?$")
_SECONDS = re.compile(r"^(\d+)(?:[.,](\d{1,3}))?s?$")


def format_ms(ms: int) -> str:
    """`125750` → `2:05.750`; from an hour on `1:02:05.750`."""
    sign, ms = ("-", -ms) if ms < 0 else ("", ms)
    seconds, millis = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    return f"{sign}{head}:{seconds:02}.{millis:03}"


def parse_ms(text: str) -> int:
    """`2:05.75`, `1:02:05`, `125.75`, `90s` → milliseconds. Raises QueryError on anything else."""
    text = text.strip()
    if match := _CLOCK.match(text):
        hours, minutes, seconds, fraction = match.groups()
        if int(seconds) < 60 and (hours is None or int(minutes) < 60):
            whole = (int(hours or 0) * 60 + int(minutes)) * 60 + int(seconds)
            return whole * 1000 + _millis(fraction)
    elif match := _SECONDS.match(text):
        return int(match[1]) * 1000 + _millis(match[2])
    raise QueryError(f"“{text}” is not a time.", cure="Write 2:05, 1:02:05.5 or 90s.").known_as("not_a_time", text=text)


def utc(moment: datetime) -> str:
    """A moment as khung writes it: ISO 8601 in UTC, to the millisecond; the order of the texts is that of the moments."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def utc_now() -> str:
    """This moment, as `utc` writes it."""
    return utc(datetime.now(UTC))


def _millis(fraction: str | None) -> int:
    return int((fraction or "0").ljust(3, "0"))
