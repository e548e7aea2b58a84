"""Byte ranges of RFC 9110 §14: which bytes of a file a request wants. Pure; khung.api.media sends them."""

import re

_RANGE = re.compile(r"^bytes=\s*(\d{0,18})-(\d{0,18})\s*$", re.IGNORECASE | re.ASCII)  # no file has more bytes


class Unsatisfiable(Exception):
    """The range lies outside the file: 416."""


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The half-open byte range `[start, stop)` of a `Range` header, or None for the whole file.

    A header that is not a single well-formed byte range is ignored, as §14.2 allows; raises Unsatisfiable.
    """
    match = _RANGE.match(header or "")
    if not match or match.group(1, 2) == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        return _suffix(int(last), size)
    start, stop = int(first), min(int(last) + 1, size) if last else size
    if last and int(last) < start:
        return None
    if start >= size:
        raise Unsatisfiable
    return start, stop


def _suffix(length: int, size: int) -> tuple[int, int]:
    if length == 0 or size == 0:
        raise Unsatisfiable
    return max(size - length, 0), size
