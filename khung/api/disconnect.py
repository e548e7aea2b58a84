"""Work for a client that may hang up: then nobody waits for it any more. What the work is, the caller knows."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Receive

T = TypeVar("T")


async def while_connected(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled when the client goes. Raises ClientDisconnect then, which nobody reads."""
    task, watch = asyncio.current_task(), asyncio.ensure_future(_gone(receive))
    working, called_off = True, False

    def hung_up(gone: "asyncio.Task[None]") -> None:
        nonlocal called_off
        if working and not gone.cancelled():
            called_off = task.cancel()

    watch.add_done_callback(hung_up)
    try:
        return await work
    except asyncio.CancelledError:
        if called_off and not task.uncancel():  # by nobody else
            raise ClientDisconnect from None
        raise
    finally:
        working = False
        watch.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass  # the body, which was read before or is not wanted
