from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

import pytest

from oxidite.http.streams.feed import Feed

BOUND = 3.0  # seconds until a wait counts as a hang


def encode(item: object) -> bytes:
    return str(item).encode()


async def fails(*items: int) -> AsyncIterator[int]:
    for item in items:
        yield item
    raise LookupError("gone")


async def read(feed: AsyncIterable[bytes]) -> list[bytes]:
    async with asyncio.timeout(BOUND):
        return [chunk async for chunk in feed]


async def test_what_is_made_while_nobody_reads_comes_in_one_piece() -> None:
    async def numbers() -> AsyncIterator[int]:
        yield 1
        yield 2
        await asyncio.sleep(0)
        yield 3

    assert b"".join(await read(Feed(numbers(), encode, closing=lambda: b"."))) == b"123."
    assert len(await read(Feed([1, 2, 3], encode))) == 1


async def test_nothing_is_nothing() -> None:
    assert await read(Feed([], encode)) == []
    assert await read(Feed([], encode, closing=lambda: b".")) == [b"."]


async def test_a_producer_is_a_bounded_number_of_bytes_ahead() -> None:
    made = 0

    async def pieces() -> AsyncIterator[str]:
        nonlocal made
        for _ in range(1000):
            made += 1
            yield "x" * 1024

    feed = Feed(pieces(), encode)
    content = aiter(feed)
    assert len(await anext(content)) == 17 * 1024
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert made == 2 * 17  # what was read, and what waits
    await content.aclose()  # type: ignore[attr-defined]  # a generator


async def test_the_producer_is_one_task_in_the_context_of_the_reader() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    tasks, seen = set[object](), list[str]()

    async def numbers() -> AsyncIterator[int]:
        token = variable.set("inner " + variable.get())
        async with asyncio.timeout(BOUND):
            for number in range(3):
                tasks.add(asyncio.current_task())
                seen.append(variable.get())
                yield number
                await asyncio.sleep(0)
        tasks.add(asyncio.current_task())
        variable.reset(token)

    variable.set("outer")
    assert b"".join(await read(Feed(numbers(), encode))) == b"012"
    assert len(tasks) == 1
    assert seen == ["inner outer"] * 3
    assert variable.get() == "outer"


class Producer:
    """Yields once, waits, and notes how it ended."""

    def __init__(self, *, stubborn: bool = False, fails: bool = False) -> None:
        self.ended = ""
        self.waits = asyncio.Event()
        self.has_ended = asyncio.Event()
        self.stubborn = stubborn
        self.fails = fails

    async def __aiter__(self) -> AsyncIterator[str]:
        try:
            while True:
                yield "x"
                try:
                    self.waits.set()
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    self.ended += "cancelled "
                    if not self.stubborn:
                        raise
        finally:
            self.ended += "closed"
            self.has_ended.set()
            if self.fails:
                raise LookupError("clean-up")


@pytest.mark.parametrize("stubborn", [False, True])
async def test_a_reader_that_stops_stops_the_producer_where_it_waits(stubborn: bool) -> None:
    producer = Producer(stubborn=stubborn)
    content = aiter(Feed(producer, encode))
    assert await anext(content) == b"x"
    async with asyncio.timeout(BOUND):
        await content.aclose()  # type: ignore[attr-defined]  # a generator

    assert producer.ended == "cancelled closed"


async def test_one_that_waits_for_its_reader_is_closed_where_it_yields() -> None:
    ended = []

    async def pieces() -> AsyncIterator[str]:
        try:
            while True:
                yield "x" * 20_000
        finally:
            ended.append(True)

    content = aiter(Feed(pieces(), encode))
    await anext(content)
    await asyncio.sleep(0)
    await content.aclose()  # type: ignore[attr-defined]  # a generator

    assert ended == [True]


async def test_a_cancelled_reader_stops_the_producer_first() -> None:
    producer = Producer()
    task = asyncio.create_task(read(Feed(producer, encode)))
    await producer.waits.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert producer.ended == "cancelled closed"


async def test_a_cancelled_close_waits_for_the_clean_up_all_the_same() -> None:
    cleaning, clean = asyncio.Event(), asyncio.Event()
    log = []

    async def slow_to_end() -> AsyncIterator[str]:
        try:
            yield "x"
            await asyncio.Event().wait()
        finally:
            cleaning.set()
            try:
                await clean.wait()
            except asyncio.CancelledError:
                log.append("hurried")
            log.append("clean")

    content = aiter(Feed(slow_to_end(), encode))
    await anext(content)
    await asyncio.sleep(0)
    closing = asyncio.create_task(content.aclose())  # type: ignore[attr-defined]  # a generator
    await cleaning.wait()
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing

    assert log == ["hurried", "clean"]


async def test_the_producer_ends_with_a_wrapper_that_nobody_closes() -> None:
    producer = Producer()

    async def wrapped(content: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        async for chunk in content:
            yield chunk

    wrapper = wrapped(Feed(producer, encode))
    assert await anext(wrapper) == b"x"
    await wrapper.aclose()  # type: ignore[attr-defined]  # a generator
    async with asyncio.timeout(BOUND):
        await producer.has_ended.wait()

    assert producer.ended == "cancelled closed"


async def test_a_clean_up_that_fails_is_not_hidden() -> None:
    content = aiter(Feed(Producer(fails=True), encode))
    await anext(content)
    with pytest.raises(LookupError, match="clean-up"):
        await content.aclose()  # type: ignore[attr-defined]  # a generator


async def test_an_error_comes_after_what_was_made_before_it_and_once() -> None:
    feed = Feed(fails(1), encode)
    content = aiter(feed)

    assert await anext(content) == b"1"
    with pytest.raises(LookupError, match="gone"):
        await anext(content)
    await feed.aclose()  # told already


async def test_an_error_nobody_read_on_to_is_raised_when_it_is_closed() -> None:
    content = aiter(Feed(fails(1), encode))
    await anext(content)
    with pytest.raises(LookupError, match="gone"):
        await content.aclose()  # type: ignore[attr-defined]  # a generator


async def test_what_cannot_be_encoded_is_an_error_of_the_stream() -> None:
    def refuses(item: object) -> bytes:
        raise TypeError("no")

    producer = Producer()
    with pytest.raises(TypeError, match="no"):
        await read(Feed(producer, refuses))
    assert producer.ended == "closed"


async def test_a_cancellation_that_nobody_asked_for_is_no_end() -> None:
    async def cancelled() -> AsyncIterator[int]:
        yield 1
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await read(Feed(cancelled(), encode))


async def test_the_first_item_can_be_waited_for_and_loses_nothing() -> None:
    feed = Feed([1, 2], encode)
    await feed.first()
    assert b"".join(await read(feed)) == b"12"

    empty = Feed[object]([], encode)
    await empty.first()
    assert await read(empty) == []


async def test_what_kept_the_first_item_from_being_made_is_raised() -> None:
    feed = Feed(fails(), encode)
    with pytest.raises(LookupError, match="gone"):
        await feed.first()
    await feed.aclose()  # told already


async def test_one_that_was_never_read_has_nothing_to_close() -> None:
    await Feed([1], encode).aclose()


async def test_an_iterator_needs_no_close() -> None:
    class Numbers:
        left = 3

        def __aiter__(self) -> Any:
            return self

        async def __anext__(self) -> int:
            self.left -= 1
            if self.left < 0:
                raise StopAsyncIteration
            return self.left

    assert b"".join(await read(Feed(Numbers(), encode))) == b"210"
