"""Work for a client that may hang up: then nobody waits for it any more. What the work is, the caller knows."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive

T = TypeVar("T")
UNWATCHED_S = 0.05
"""Most searches have ended by then: to watch a client costs as much as to find out what it asked."""


async def while_connected(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled when the client goes. Raises ClientDisconnect then, which nobody reads."""
    task, watch = asyncio.current_task(), None
    working, called_off = True, False

    def hung_up(gone: "asyncio.Task[None]") -> None:
        nonlocal called_off
        if working and not gone.cancelled():
            called_off = task.cancel()

    def look() -> None:
        nonlocal watch
        watch = asyncio.ensure_future(_gone(receive))
        watch.add_done_callback(hung_up)

    timer = asyncio.get_running_loop().call_later(UNWATCHED_S, look)
    try:
        return await work
    except asyncio.CancelledError:
        if called_off and not task.uncancel():  # by nobody else
            raise ClientDisconnect from None
        raise
    finally:
        working = False
        timer.cancel()
        if watch:
            watch.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass  # the body, which was read before or is not wanted
