from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from functools import partial

import pytest

from oxidite.concurrency import BackgroundTasks, ThreadPool, call

word: ContextVar[str] = ContextVar("word", default="nothing")


async def test_a_function_runs_in_another_thread_with_its_arguments() -> None:
    def function(a: int, *, b: int) -> tuple[int, bool]:
        return a + b, threading.current_thread() is threading.main_thread()

    async with ThreadPool() as threads:
        assert await threads.run(function, 1, b=2) == (3, False)


async def test_what_a_function_raises_is_raised_where_it_is_awaited() -> None:
    def fail() -> None:
        raise KeyError("x")

    async with ThreadPool() as threads:
        with pytest.raises(KeyError, match="x"):
            await threads.run(fail)


async def test_stop_iteration_is_an_error_and_no_hang() -> None:
    async with ThreadPool() as threads, asyncio.timeout(5):
        with pytest.raises(RuntimeError, match="raised StopIteration") as caught:
            await threads.run(next, iter(()))
    assert isinstance(caught.value.__cause__, StopIteration)


async def test_a_function_sees_the_context_of_its_caller_and_does_not_change_it() -> None:
    def function() -> str:
        seen = word.get()
        word.set("changed")
        return seen

    word.set("mine")
    async with ThreadPool() as threads:
        assert await threads.run(function) == "mine"
    assert word.get() == "mine"


async def test_no_more_functions_run_at_once_than_there_are_threads() -> None:
    running = most = 0
    lock = threading.Lock()
    gate = threading.Barrier(2)

    def function() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        gate.wait(5)
        with lock:
            running -= 1

    async with ThreadPool(size=2) as threads:
        await asyncio.gather(*(threads.run(function) for _ in range(6)))
    assert most == 2


async def test_without_functions_there_are_no_threads() -> None:
    before = threading.active_count()
    async with ThreadPool():
        assert threading.active_count() == before


async def test_closing_waits_for_what_runs_even_if_nobody_else_does() -> None:
    started, go = threading.Event(), threading.Event()
    done: list[str] = []

    def function() -> None:
        started.set()
        go.wait(5)
        done.append("done")

    async with ThreadPool() as threads:
        task = asyncio.ensure_future(threads.run(function))
        await asyncio.to_thread(started.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert done == []
        go.set()
    assert done == ["done"]


async def test_a_pool_may_be_opened_again() -> None:
    threads = ThreadPool()
    for _ in range(2):
        async with threads:
            assert await threads.run(lambda: 3) == 3


# Background work.


async def test_background_work_is_waited_for() -> None:
    go = asyncio.Event()
    log: list[str] = []

    async def work() -> None:
        await go.wait()
        log.append("done")

    async with BackgroundTasks() as background:
        background.spawn(work())
        assert len(background) == 1
        go.set()
    assert log == ["done"]
    assert len(background) == 0


async def test_work_that_starts_work_is_waited_for_too() -> None:
    log: list[str] = []

    async def second() -> None:
        await asyncio.sleep(0)
        log.append("second")

    async def first() -> None:
        await asyncio.sleep(0)
        background.spawn(second())
        log.append("first")

    async with BackgroundTasks() as background:
        background.spawn(first())
    assert log == ["first", "second"]


async def test_work_that_fails_is_logged_and_hurts_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail() -> None:
        raise KeyError("x")

    async def work() -> None:
        log.append("done")

    log: list[str] = []
    async with BackgroundTasks() as background:
        background.spawn(fail(), name="failing")
        background.spawn(work())

    assert log == ["done"]
    (record,) = caplog.records
    assert record.getMessage() == "background work failed"
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], KeyError)


async def test_work_that_does_not_end_in_time_is_cancelled_and_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            log.append("cancelled")

    async with BackgroundTasks(grace=0.01) as background:
        background.spawn(work(), name="endless")

    assert log == ["cancelled"]
    assert [record.getMessage() for record in caplog.records] == [
        "background task endless did not end in time"
    ]


async def test_work_that_always_starts_more_does_not_hold_up_the_end() -> None:
    async def again() -> None:
        await asyncio.sleep(0.001)
        background.spawn(again())

    async with asyncio.timeout(5):
        async with BackgroundTasks(grace=0.02) as background:
            background.spawn(again())
    assert len(background) == 0


async def test_work_that_will_not_be_cancelled_does_not_hold_up_the_end() -> None:
    go = asyncio.Event()

    async def stubborn() -> None:
        while not go.is_set():
            try:
                await go.wait()
            except asyncio.CancelledError:
                continue

    async with asyncio.timeout(5):
        async with BackgroundTasks(grace=0.01) as background:
            background.spawn(stubborn())
    assert len(background) == 1
    go.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(background) == 0


async def test_work_goes_on_when_who_started_it_is_cancelled() -> None:
    log: list[str] = []
    started = asyncio.Event()

    async def work() -> None:
        await asyncio.sleep(0)
        log.append(f"done in {word.get()}")

    async def request() -> None:
        word.set("request")
        background.spawn(work())
        started.set()
        await asyncio.Event().wait()

    async with BackgroundTasks() as background:
        task = asyncio.ensure_future(request())
        await started.wait()
        task.cancel()
    assert log == ["done in request"]


# Either kind.


async def test_a_function_of_either_kind_is_called() -> None:
    async def asynchronous(a: int) -> int:
        return a

    def synchronous(a: int) -> int:
        return a

    assert await call(asynchronous, 1) == 1
    assert await call(synchronous, a=2) == 2
    assert await call(partial(asynchronous, 3)) == 3
