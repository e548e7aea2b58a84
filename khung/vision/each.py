"""One bad item does not cost the others: all are asked for together, and after a failure in halves, until those at fault stand alone.

What is nobody's fault but the machine's (a lost device, files that are not here, servers that do not answer) is raised. What becomes
of a failed item is the caller's business.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import numpy as np

from khung.errors import DeviceLost, ModelError, ModelFileMissing, ModelUnavailable
from khung.vision import Embedder, Image
from khung.vision.towers import Encoded, ahead, decoded, not_finite

Item = TypeVar("Item")
Result = TypeVar("Result")

NOT_THE_ITEMS_FAULT = (DeviceLost, ModelFileMissing, ModelUnavailable)
AT_ONCE = 64
"""Images that a model without a stream of its own gets in one call, twice in memory: 128 × 6 MB at 1080p."""


def each(
    items: Sequence[Item], ask: Callable[[Sequence[Item]], Iterable[Result]], *, patience: int = 0
) -> list[Result | ModelError]:
    """Of each item its result or why there is none, in order. Raises what is not an item's fault, and the failure itself when the
    first `patience` items all fail: then it is the model (0: never)."""
    found: list[Result | ModelError] = []
    succeeded = False
    waiting = [items] if items else []
    while waiting:
        part = waiting.pop()
        try:
            found += list(ask(part))
            succeeded = True
            continue
        except NOT_THE_ITEMS_FAULT:
            raise
        except (ModelError, RuntimeError, ValueError) as error:  # libraries fail in their own words
            failure = _bare(error)
        if len(part) > 1:
            middle = len(part) // 2
            waiting += [part[middle:], part[:middle]]
            continue
        found.append(failure)
        if patience and not succeeded and len(found) >= patience:
            raise failure
    return found


def each_vector(
    images: Iterable[Image | Encoded], embedder: Embedder
) -> Iterator[tuple[Image | Encoded, np.ndarray | ModelError]]:
    """Every image with its vector, or with why there is none, in order. A model with a stream of its own gets one long stream: its
    devices share it and do not run empty between two parts. Raises what is not an image's fault."""
    if hasattr(embedder, "stream_images"):
        yield from _streamed(iter(images), embedder)
        return
    with ThreadPoolExecutor(1, "decode") as pool:
        for part, opened in ahead(pool, _parts(images), lambda part: (part, [decoded(one) for one in part]), 2):
            yield from zip(part, each(opened, embedder.embed_images), strict=True)


def _streamed(
    source: Iterator[Image | Encoded], embedder: Embedder
) -> Iterator[tuple[Image | Encoded, np.ndarray | ModelError]]:
    """After a failure those under way are asked for in halves, and the stream goes on behind them."""
    under_way: deque[Image | Encoded] = deque()
    while True:
        try:
            for vector in embedder.stream_images(_noted(source, under_way)):
                yield under_way.popleft(), _checked(vector, embedder)
            return
        except NOT_THE_ITEMS_FAULT:
            raise
        except (ModelError, RuntimeError, ValueError):
            some = list(under_way)
        under_way.clear()
        yield from zip(some, each(some, embedder.embed_images), strict=True)


def _noted(source: Iterator[Item], under_way: deque[Item]) -> Iterator[Item]:
    for item in source:
        under_way.append(item)
        yield item


def _checked(vector: np.ndarray, embedder: Embedder) -> np.ndarray | ModelError:
    return vector if np.isfinite(vector).all() else not_finite(embedder.fingerprint)


def _parts(images: Iterable[Item]) -> Iterator[list[Item]]:
    source = iter(images)
    return iter(lambda: list(islice(source, AT_ONCE)), [])


def _bare(error: Exception) -> ModelError:
    """Without traceback and causes: they would hold the failed batch in the device's memory while its halves are tried."""
    told = error if isinstance(error, ModelError) else ModelError(_first_line(error))
    told.__cause__ = told.__context__ = None
    return told.with_traceback(None)


def _first_line(error: Exception) -> str:
    return (
        f"{type(error).__name__}: {str(error).strip().splitlines()[0]}" if str(error).strip() else type(error).__name__
    )
