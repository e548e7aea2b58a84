"""What runs in a worker's process: load a model, then answer streams of items until the pipe ends.

Messages to the child: `("begin", job, method)`, `("item", job, item)`, `("end", job)`. From it: `(job, kind, value)` with the kinds
`about` and `error` (job 0, after loading), `want`, `result`, `strain` (before the last), `error`, `done`. The parent's side is in
`worker.py`.
"""

import contextlib
import os
import queue
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection
from typing import Any

from khung.errors import DeviceLost, KhungError, ModelError
from khung.vision.batches import Strain

DEVICE_LOST = 70  # the exit code after a dead context
BLOCK = 16  # items that are asked for at once
NO_STRAIN = Strain()


def serve(pipe: Connection, make: Callable[[], Any], environment: Mapping[str, str]) -> None:
    """Load the model, then answer streams until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the parent decides
    os.environ.update(environment)
    try:
        model = make()
    except KhungError as error:
        pipe.send((0, "error", error))
        return
    pipe.send((0, "about", {"fingerprint": model.fingerprint, "dim": getattr(model, "dim", 0)}))
    inbox: queue.SimpleQueue = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(pipe, inbox), daemon=True).start()
    while (message := inbox.get()) is not None:
        if message[0] == "begin":
            _answer(pipe, model, message[1], message[2], inbox)


def _listen(pipe: Connection, inbox: queue.SimpleQueue) -> None:
    """Read all the time, so that the parent never waits to write."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            inbox.put(pipe.recv())
    inbox.put(None)  # for the stream under way
    inbox.put(None)  # for the loop around it


def _answer(pipe: Connection, model: Any, job: int, method: str, inbox: queue.SimpleQueue) -> None:
    items = _items(pipe, job, inbox)
    try:
        for result in getattr(model, method)(items):
            pipe.send((job, "result", result))
        last = (job, "done", None)
    except DeviceLost:
        traceback.print_exc()
        os._exit(DEVICE_LOST)  # not sys.exit: a dead context hangs in its destructors
    except KhungError as error:
        last = (job, "error", error)
    except Exception:  # noqa: BLE001 - a bug of the model: the parent raises it
        last = (job, "error", ModelError(f"The model failed in its worker:\n{traceback.format_exc()}"))
    with contextlib.suppress(OSError):
        pipe.send((job, "strain", getattr(model, "strain", NO_STRAIN)))
        pipe.send(last)
        for _ in items:  # after an error: what had been sent already, up to the end of the stream
            pass


def _items(pipe: Connection, job: int, inbox: queue.SimpleQueue) -> Iterator[Any]:
    """What the parent sends; asked for in blocks, whenever nothing is there."""
    while True:
        if inbox.empty():
            pipe.send((job, "want", BLOCK))
        message = inbox.get()
        if message is None or message[0] != "item":
            return
        yield message[2]
