"""Batches bounded by tokens, whose bound follows the memory: halved when it runs out, grown back slowly.

The cost of a batch is its padded size, `items × longest`. Results come in the order of the items, each as soon as its batch is
done. Nothing here knows what an item or a step is; what counts as out of memory is said by `device.py`.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from khung.errors import ContextLost, ItemTooLarge
from khung.vision import device

log = logging.getLogger(__name__)
LONGEST_PATIENCE = 1024  # full batches


class Sized(Protocol):
    """Anything that costs tokens."""

    @property
    def tokens(self) -> int: ...


class Meter(Protocol):
    """Memory of the device (see device.MemoryMeter)."""

    @property
    def measures(self) -> bool: ...
    def start(self) -> None: ...
    def used(self) -> int: ...
    def free(self) -> int: ...


Item = TypeVar("Item", bound=Sized)
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """`start`: tokens of the first batches; `most`: never more, whatever is free; `items`: never more items."""

    start: int = 16_384
    most: int = 131_072
    items: int = 256
    grow_after: int = 8  # full batches that went well; doubled by every failure, so that failures become rare
    growth: float = 1.25


@dataclass(frozen=True, slots=True)
class Strain:
    """What a full memory has cost so far: batches that were halved, inputs that were looked at with fewer tokens."""

    halved: int = 0
    shrunk: int = 0

    def __add__(self, other: "Strain") -> "Strain":
        return Strain(self.halved + other.halved, self.shrunk + other.shrunk)

    def __sub__(self, other: "Strain") -> "Strain":
        return Strain(self.halved - other.halved, self.shrunk - other.shrunk)


class Batches:
    """Runs steps over items. One for each model and device: it remembers what fits. Several threads take turns.

    `limit` is the bound in tokens now; `strain` what happened, for logs and metadata.
    """

    def __init__(self, limits: BatchLimits | None = None, meter: Meter | None = None) -> None:
        self._limits = limits or BatchLimits()
        self._meter = meter if meter and meter.measures else None
        self.limit = min(self._limits.start, self._limits.most)
        self.strain = Strain()
        self._full_runs = 0
        self._patience = self._limits.grow_after
        self._measured = self._meter is None
        self._one_at_a_time = threading.Lock()

    def run(
        self,
        items: Iterable[Item],
        step: Callable[[Sequence[Item]], Sequence[Result]],
        shrink: Callable[[Item], Item | None] | None = None,
    ) -> Iterator[Result]:
        """One result an item, in order. An item that does not fit alone is replaced by `shrink(item)`; when that is None
        (or not given) ItemTooLarge is raised, after the results of all items before it. Raises ContextLost."""
        waiting: deque[Item] = deque()
        source = iter(items)
        while batch := self._take(waiting, source):
            results = self._turn(step, batch, bool(waiting))
            if results is not None:
                yield from results
                continue
            if len(batch) == 1:
                batch = [self._smaller(batch[0], shrink)]
            waiting.extendleft(reversed(batch))

    def _take(self, waiting: deque[Item], source: Iterator[Item]) -> list[Item]:
        """The next items that fit; at least one if there is one. What was looked at but does not fit waits."""
        batch: list[Item] = []
        longest = 0
        while len(batch) < self._limits.items:
            if not waiting:
                waiting.extend(next_ for next_ in [next(source, None)] if next_ is not None)
            if not waiting:
                break
            longest = max(longest, waiting[0].tokens)
            if batch and longest * (len(batch) + 1) > self.limit:
                break
            batch.append(waiting.popleft())
        return batch

    def _turn(
        self, step: Callable[[Sequence[Item]], Sequence[Result]], batch: list[Item], more: bool
    ) -> Sequence[Result] | None:
        """One step, and what it teaches about the bound."""
        with self._one_at_a_time:
            results = self._attempt(step, batch)
            if results is None:
                self._halve(batch)
            else:
                self._went_well(more)
            return results

    def _attempt(
        self, step: Callable[[Sequence[Item]], Sequence[Result]], batch: list[Item]
    ) -> Sequence[Result] | None:
        """The step's results; None when memory ran out. The memory is released here, outside the `except` block,
        because its traceback holds the tensors of the failed step."""
        lost = ""
        try:
            if not self._measured:
                return self._measuring(step, batch)
            return step(batch)
        except (RuntimeError, MemoryError) as error:
            if device.context_lost(error):
                lost = str(error).splitlines()[0]
            elif not device.out_of_memory(error):
                raise
        if lost:
            raise ContextLost(
                f"The accelerator failed: {lost}.", cure="Run it again: a new process gets a new context."
            )
        device.release()
        return None

    def _measuring(self, step: Callable[[Sequence[Item]], Sequence[Result]], batch: list[Item]) -> Sequence[Result]:
        """The first step tells what a token costs; the bound is set by what is free."""
        self._meter.start()
        results = step(batch)
        self.limit = fitting(self._meter.used() / cost(batch), self._meter.free(), self._limits.most)
        self._measured = True
        log.info("batches of %d tokens fit", self.limit)
        return results

    def _went_well(self, was_full: bool) -> None:
        """Only full batches, those that left items waiting, prove that the bound holds."""
        self._full_runs += was_full
        if self._full_runs >= self._patience and self.limit < self._limits.most:
            self.limit = min(self._limits.most, int(self.limit * self._limits.growth) + 1)
            self._full_runs = 0

    def _halve(self, batch: list[Item]) -> None:
        self.limit = max(1, min(self.limit, cost(batch)) // 2)
        self.strain += Strain(halved=1)
        self._full_runs, self._patience = 0, min(2 * self._patience, LONGEST_PATIENCE)
        log.warning(
            "out of memory with %d items of %d tokens; the bound is now %d", len(batch), cost(batch), self.limit
        )

    def _smaller(self, item: Item, shrink: Callable[[Item], Item | None] | None) -> Item:
        smaller = shrink(item) if shrink else None
        if smaller is None or smaller.tokens >= item.tokens:
            raise ItemTooLarge(
                f"One input of {item.tokens} tokens does not fit into the memory.",
                cure="Lower the token cap, or use a smaller or quantised model.",
            )
        self.strain += Strain(shrunk=1)
        log.warning("one input goes from %d to %d tokens: it did not fit", item.tokens, smaller.tokens)
        return smaller


def cost(batch: Sequence[Sized]) -> int:
    """Tokens after padding."""
    return len(batch) * max(item.tokens for item in batch)


def fitting(bytes_per_token: float, free_bytes: int, most: int) -> int:
    """The tokens that `free_bytes` hold, at most `most` and at least one."""
    return int(max(1, min(most, device.MOST_PER_STEP * free_bytes / max(bytes_per_token, 1.0))))
