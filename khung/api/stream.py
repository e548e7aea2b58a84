"""A search as a stream of events: understood, partly answered, answered. What a search is, the engine knows.

Events come from the thread that searches. A question whose answer is kept, or that somebody else is asking right now, has no
partial pages: its final one is there at once or soon.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import orjson
from fastapi.sse import ServerSentEvent

from khung.api import written
from khung.api.problems import problem_of
from khung.api.schemas import SearchIn
from khung.api.service import Service
from khung.errors import KhungError
from khung.search.engine import SearchResult
from khung.search.parsed import ParsedQuery


@dataclass(eq=False)
class Stream:
    """One streamed search, from `begin` to the last of `events`. It is a Listener."""

    loop: asyncio.AbstractEventLoop
    told: "asyncio.Queue[ServerSentEvent | None]" = field(default_factory=asyncio.Queue)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    task: "asyncio.Task[None] | None" = None
    has_parsed: bool = False
    failed: KhungError | None = None

    @classmethod
    async def begin(cls, service: Service, asked: SearchIn, owner: str) -> "Stream":
        """Start the search and wait until it says something. Raises what fails before that."""
        stream = cls(asyncio.get_running_loop())
        stream.task = asyncio.create_task(stream._run(service, asked, owner))
        try:
            await stream.begun.wait()
        except asyncio.CancelledError:
            stream.task.cancel()
            raise
        if not stream.has_parsed:
            await stream.task  # it is over: the search failed before it was understood
            raise stream.failed
        return stream

    async def events(self) -> AsyncIterator[ServerSentEvent]:
        try:
            while (event := await self.told.get()) is not None:
                yield event
            await self.task
        finally:
            self.task.cancel()  # the client may have gone in the middle

    # -- heard in the searching thread

    def parsed(self, parsed: ParsedQuery) -> None:
        self._tell(_event("parsed", orjson.dumps(parsed)))

    def partial(self, channels: Sequence[str], result: SearchResult) -> None:
        page = written.page(result, before={"channels": list(channels)})
        self._tell(_event("partial", page))

    def _tell(self, event: ServerSentEvent) -> None:
        self.loop.call_soon_threadsafe(self._put, event)

    # -- in the event loop

    async def _run(self, service: Service, asked: SearchIn, owner: str) -> None:
        try:
            answer, tail = await service.answer(asked, owner, self)
            body = answer.head + tail
            if not self.has_parsed:  # kept, or somebody else's search
                self._put(_event("parsed", orjson.dumps(orjson.loads(body)["parsed"])))
            self._put(_event("final", body))
        except KhungError as error:
            self.failed = error
            self._put(_event("problem", problem_of(error).model_dump_json().encode()))
        finally:
            self.told.put_nowait(None)
            self.begun.set()

    def _put(self, event: ServerSentEvent) -> None:
        self.has_parsed |= event.event == "parsed"
        self.told.put_nowait(event)
        self.begun.set()


def _event(name: str, data: bytes) -> ServerSentEvent:
    return ServerSentEvent(event=name, raw_data=data.decode())
