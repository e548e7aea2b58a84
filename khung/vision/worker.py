"""A process that holds one model on one device, and the stream of items through it: in order, and resumed when it dies.

The child asks for items when it runs out of them, so it decodes and prepares ahead while its device computes; every answer comes back as
soon as it is there. A dead accelerator context cannot be mended inside its process: the child ends, another one is started and gets the
items that are still unanswered. What runs in the child is in `worker_child.py`, which items are to be done again in `worker_items.py`,
several workers together in `fleet.py`.
"""

import contextlib
import logging
import multiprocessing
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import wait
from typing import Any

from khung.errors import DeviceLost
from khung.vision.batches import Strain
from khung.vision.worker_child import BLOCK, DEVICE_LOST, serve
from khung.vision.worker_items import END, Work

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """`restarts`: of one stream; `stall_s`: without a word from the child; `load_s`: for its model to load."""

    restarts: int = 4
    stall_s: float = 900.0
    load_s: float = 1800.0


class Worker:
    """One child with one model. `make` is called in the child and must be picklable; what it returns has a `fingerprint`, perhaps a
    `dim`, and methods from an iterable to an iterator of as many results. `environment` is set before anything is imported.

    One stream at a time; others wait. Use it as a context manager, or call `close`. `strain` is what a full memory has cost its
    children, told at the end of each stream: what happened in one that died since is not known.
    """

    def __init__(
        self, make: Callable[[], Any], environment: Mapping[str, str] | None = None, limits: WorkerLimits | None = None
    ) -> None:
        self._make, self._environment = make, dict(environment or {})
        self._limits = limits or WorkerLimits()
        self._turn = threading.Lock()
        self._jobs = count(1)
        self.restarts = 0
        self._strain_of_dead, self._strain = Strain(), Strain()
        self._child: _Child | None = None
        self.about = self._start()

    def stream(self, method: str, items: Iterable[Any]) -> Iterator[Any]:
        """The results of `model.method(items)`, in order. Raises what the model raises (a KhungError as it is), and DeviceLost when an
        item kills every process that touches it, or the device every process."""
        with self._turn:
            work = Work(iter(items))
            while work.more():
                try:
                    yield from self._attempt(method, work)
                except _Died as death:
                    work.died(str(death), self._limits.restarts)
                    log.warning("the worker ended (%s) at item %d; another one goes on from there", death, work.first)
                    self.restarts += 1
                    self._start()

    @property
    def strain(self) -> Strain:
        return self._strain_of_dead + self._strain

    def close(self) -> None:
        """End the child. The worker cannot be used again."""
        if self._child:
            self._child.end()
            self._child = None

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> dict[str, Any]:
        """A child that has loaded its model, and what it says about it. Raises what loading raised."""
        self.close()
        self._strain_of_dead, self._strain = self.strain, Strain()
        self._child = _Child(self._make, self._environment, self._limits.stall_s)
        try:
            kind, value = self._child.receive(0, self._limits.load_s)
        except _Died as death:
            self.close()
            raise DeviceLost(f"The worker ended while it loaded its model ({death}).") from None
        if kind == "error":
            self.close()
            raise value
        return value

    def _attempt(self, method: str, work: Work) -> Iterator[Any]:
        """Stream until the work is done (or, when being careful, one item of it). Raises _Died."""
        job, child, ended = next(self._jobs), self._child, False
        child.send("begin", job, method)
        try:
            while True:
                kind, value = child.receive(job, self._limits.stall_s)
                if kind == "result":
                    work.answered()
                    yield value
                elif kind == "want":
                    ended = ended or self._feed(child, job, work)
                elif kind == "strain":
                    self._strain = value
                elif kind == "done":
                    return work.check_complete()
                else:
                    raise value
        finally:
            if not ended:  # left early: the child drops what it has
                with contextlib.suppress(_Died):
                    child.send("end", job)

    def _feed(self, child: "_Child", job: int, work: Work) -> bool:
        """A block of items; True when it was the last."""
        for _ in range(BLOCK):
            item = work.next()
            if item is END:
                child.send("end", job)
                return True
            child.send("item", job, item)
        return False


class _Died(Exception):
    """The child is gone; says why."""


class _Child:
    """The process and the pipe to it. Every wait has an end."""

    def __init__(self, make: Callable[[], Any], environment: Mapping[str, str], stall_s: float) -> None:
        context = multiprocessing.get_context("spawn")  # a forked CUDA context is broken
        self._pipe, theirs = context.Pipe()
        self._stall_s = stall_s
        self._process = context.Process(
            target=serve, args=(theirs, make, environment), name="khung-worker", daemon=True
        )
        self._process.start()
        theirs.close()

    def send(self, *message: Any) -> None:
        """Raises _Died. A child that does not even read is killed when the time is up."""
        guard = threading.Timer(self._stall_s, self._process.kill)
        guard.start()
        try:
            self._pipe.send(message)
        except OSError:
            raise _Died(self._why()) from None
        finally:
            guard.cancel()

    def receive(self, job: int, within_s: float) -> tuple[str, Any]:
        """The next message of this job: those of streams that were left early are dropped. Raises _Died."""
        while True:
            ready = wait([self._pipe, self._process.sentinel], within_s)
            if self._pipe not in ready:
                raise _Died(self._why() if ready else f"silent for {within_s:.0f} s")
            try:
                number, kind, value = self._pipe.recv()
            except (EOFError, OSError):
                raise _Died(self._why()) from None
            if number == job:
                return kind, value

    def end(self) -> None:
        self._pipe.close()  # its reader sees the end, and the child ends by itself if it can
        self._process.join(1)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()

    def _why(self) -> str:
        self._process.join(5)
        code = self._process.exitcode
        return "a dead device context" if code == DEVICE_LOST else f"exit code {code}"
