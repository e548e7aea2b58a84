"""The desk: one computation for equal questions, a bounded queue, kept answers, failures told to everyone who waits."""

import asyncio
import gc
import threading
from contextlib import suppress

import pytest

from khung.api.desk import Desk
from khung.errors import Overloaded, QueryError
from khung.settings import ServeSettings

ALWAYS = lambda result: True  # noqa: E731


class Work:
    """A computation that counts itself and waits until it is let go."""

    def __init__(self, result="answer"):
        self.calls, self.most, self.running = 0, 0, 0
        self.result, self.gate, self.lock = result, threading.Event(), threading.Lock()

    def __call__(self):
        with self.lock:
            self.calls += 1
            self.running += 1
            self.most = max(self.most, self.running)
        self.gate.wait(10)
        with self.lock:
            self.running -= 1
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def test_five_hundred_equal_questions_are_one_computation():
    async def story():
        desk, work = Desk(ServeSettings()), Work()
        asked = [asyncio.create_task(desk.ask("q", work, keep=ALWAYS)) for _ in range(500)]
        await asyncio.sleep(0.05)
        work.gate.set()
        assert await asyncio.gather(*asked) == ["answer"] * 500
        assert work.calls == 1
        assert await desk.ask("q", work, keep=ALWAYS) == "answer"
        assert work.calls == 1

    asyncio.run(story())


def test_threads_are_bounded_and_the_queue_is_too():
    async def story():
        desk, work = Desk(ServeSettings(search_threads=2, queue_depth=3)), Work()
        asked = [asyncio.create_task(desk.ask(i, work, keep=ALWAYS)) for i in range(5)]
        await asyncio.sleep(0.05)
        with pytest.raises(Overloaded) as refused:
            await desk.ask("one more", work, keep=ALWAYS)
        assert refused.value.retry_after_s >= 1
        joined = asyncio.create_task(desk.ask(0, work, keep=ALWAYS))  # an equal question costs nothing: it may join
        await asyncio.sleep(0)
        work.gate.set()
        await asyncio.gather(*asked, joined)
        assert work.most == 2
        assert desk.in_flight == 0

    asyncio.run(story())


def test_a_waiter_that_leaves_takes_nobody_along():
    async def story():
        desk, work = Desk(ServeSettings()), Work()
        first = asyncio.create_task(desk.ask("q", work, keep=ALWAYS))
        second = asyncio.create_task(desk.ask("q", work, keep=ALWAYS))
        await asyncio.sleep(0.02)
        first.cancel()
        await asyncio.sleep(0)
        work.gate.set()
        assert await second == "answer"
        assert work.calls == 1

    asyncio.run(story())


def test_too_slow_is_told_and_its_thread_stays_counted():
    async def story():
        desk, work = Desk(ServeSettings(search_timeout_s=0.05, search_threads=1, queue_depth=0)), Work()
        with pytest.raises(Overloaded, match="too long"):
            await desk.ask("q", work, keep=ALWAYS)
        with pytest.raises(Overloaded, match="Too many"):
            await desk.ask("other", work, keep=ALWAYS)
        work.gate.set()

    asyncio.run(story())


def test_failures_reach_every_waiter_and_are_not_kept():
    async def story():
        desk, work = Desk(ServeSettings()), Work(QueryError("no"))
        work.gate.set()
        told = await asyncio.gather(*(desk.ask("q", work, keep=ALWAYS) for _ in range(3)), return_exceptions=True)
        assert [str(error) for error in told] == ["no"] * 3
        work.result = "now"
        assert await desk.ask("q", work, keep=ALWAYS) == "now"

    asyncio.run(story())


@pytest.mark.parametrize("stray", [StopIteration, SystemExit, KeyboardInterrupt])
def test_what_would_end_the_event_loop_reaches_who_waits_as_an_error(stray):
    def fails():
        raise stray

    async def story():
        desk = Desk(ServeSettings())
        with pytest.raises(RuntimeError, match=stray.__name__):
            await asyncio.create_task(desk.ask("q", fails, keep=ALWAYS))
        assert await desk.ask("another", lambda: 1, keep=ALWAYS) == 1
        desk.close()

    asyncio.run(story())


def test_what_must_not_be_kept_is_asked_again():
    async def story():
        desk, work = Desk(ServeSettings()), Work()
        work.gate.set()
        for _ in range(2):
            await desk.ask("q", work, keep=lambda result: False)
        assert work.calls == 2

    asyncio.run(story())


@pytest.mark.parametrize("result", ["answer", QueryError("no")])
def test_a_search_leaves_nothing_to_the_garbage_collector(result):
    """It stops every thread for as long as it looks; what holds itself in a circle would also keep answers in memory until then."""

    async def story():
        desk, work = Desk(ServeSettings()), Work(result)
        work.gate.set()

        async def ask(key):
            with suppress(QueryError):
                await desk.ask(key, work, keep=lambda result: False)

        await ask("first")
        gc.collect()
        gc.disable()
        try:
            for n in range(50):
                await ask(n)
            assert gc.collect() < 50
        finally:
            gc.enable()

    asyncio.run(story())


def test_who_waits_when_the_desk_closes_is_let_go():
    async def story():
        desk, work = Desk(ServeSettings(search_threads=1, queue_depth=5)), Work()
        asked = [asyncio.create_task(desk.ask(n, work, keep=ALWAYS)) for n in range(3)]
        await asyncio.sleep(0)
        while not work.calls:
            await asyncio.sleep(0.001)
        [thread] = desk._threads
        threading.Timer(0.2, work.gate.set).start()
        desk.close()
        assert (
            not thread.is_alive()
        )  # else Python would end it inside a native library, which may take the process with it
        told = await asyncio.gather(*asked[1:], return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in told)
        assert await asked[0] == "answer"  # it had a thread
        assert (work.calls, desk.in_flight) == (1, 0)

    asyncio.run(story())
