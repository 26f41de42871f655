from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

import pytest

from oxidite.http import Response
from oxidite.http.response import stopping
from oxidite.http.streams import Event, EventStream

BOUND = 3.0  # seconds until a wait counts as a hang
SOON = 0.001  # seconds between two keep-alive comments, where a test waits for one


@pytest.mark.parametrize("keep_alive", [0, -1, float("nan"), float("inf")])
def test_a_keep_alive_that_is_no_time_is_refused(keep_alive: float) -> None:
    with pytest.raises(ValueError, match="keep_alive="):
        EventStream([], keep_alive=keep_alive)


@pytest.mark.parametrize("retry", [-1, float("nan"), 1e12])
def test_so_is_a_time_to_come_back(retry: float) -> None:
    with pytest.raises(ValueError, match="not a number of seconds"):
        EventStream([], retry=retry)


async def source(*items: object) -> AsyncIterator[object]:
    for item in items:
        yield item


async def fails(*items: str) -> AsyncIterator[str]:
    for item in items:
        yield item
    raise LookupError("gone")


async def read(content: AsyncIterable[bytes | str], into: list[bytes]) -> None:
    """Put what comes into a list, so that it is there after an error too."""
    async with asyncio.timeout(BOUND):
        async for chunk in content:
            assert isinstance(chunk, bytes)
            into.append(chunk)


async def joined(response: EventStream[Any]) -> bytes:
    chunks: list[bytes] = []
    await read(response.content, chunks)
    return b"".join(chunks)


class TestStream:
    def test_its_headers_keep_caches_and_proxies_away(self) -> None:
        response = EventStream[object]([], headers={"x-accel-buffering": "yes", "x-own": "1"})

        assert response.content_type == "text/event-stream"
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-accel-buffering"] == "yes"
        assert response.headers["x-own"] == "1"
        assert not response.complete
        assert isinstance(response, Response)

    async def test_it_begins_with_a_comment_so_that_the_client_is_connected(self) -> None:
        assert await joined(EventStream(source("a", Event("b", id="1")))) == (
            b":\n\ndata: a\n\nid: 1\ndata: b\n\n"
        )

    async def test_or_with_the_time_to_reconnect(self) -> None:
        assert await joined(EventStream(["a"], retry=2)) == b"retry: 2000\n\ndata: a\n\n"

    async def test_the_comment_comes_before_the_first_event_is_made(self) -> None:
        async def never() -> AsyncIterator[str]:
            await asyncio.Event().wait()
            yield ""

        content = aiter(EventStream(never()).content)
        async with asyncio.timeout(BOUND):
            assert await anext(content) == b":\n\n"
            await content.aclose()  # type: ignore[attr-defined]  # a generator

    async def test_silence_is_broken_by_comments_that_interrupt_nobody(self) -> None:
        heard = asyncio.Event()

        async def slow() -> AsyncIterator[str]:
            async with asyncio.timeout(BOUND):  # of this task, from the first step to the last
                await heard.wait()
            yield "x"

        chunks: list[bytes | str] = []
        async with asyncio.timeout(BOUND):
            async for chunk in EventStream(slow(), keep_alive=SOON).content:
                chunks.append(chunk)
                if len(chunks) == 4:
                    heard.set()
        assert chunks[:4] == [b":\n\n"] * 4
        assert [chunk for chunk in chunks if chunk != b":\n\n"] == [b"data: x\n\n"]

    async def test_a_reader_that_does_not_read_is_kept_one_comment_for(self) -> None:
        async def never() -> AsyncIterator[str]:
            await asyncio.Event().wait()
            yield ""

        content = aiter(EventStream(never(), keep_alive=SOON).content)
        await anext(content)
        await asyncio.sleep(20 * SOON)

        assert await anext(content) == b":\n\n"
        await content.aclose()  # type: ignore[attr-defined]  # a generator

    async def test_without_keep_alive_no_timer_runs(self) -> None:
        response = EventStream(source("x"), keep_alive=None)
        feed: Any = response.content
        assert await joined(response) == b":\n\ndata: x\n\n"
        assert feed._timer is None

    async def test_nothing_runs_on_after_the_end(self) -> None:
        response = EventStream(source("x"), keep_alive=SOON)
        before = asyncio.all_tasks()
        token = stopping.set(asyncio.Event())
        try:
            await joined(response)
        finally:
            stopping.reset(token)
        await asyncio.sleep(0)  # a cancelled task ends in the next turn
        feed: Any = response.content

        assert feed._timer.cancelled()
        assert asyncio.all_tasks() == before

    async def test_an_error_is_raised_where_the_stream_is_read(self) -> None:
        chunks: list[bytes] = []
        with pytest.raises(LookupError, match="gone"):
            await read(EventStream(fails("x")).content, chunks)
        assert b"".join(chunks) == b":\n\ndata: x\n\n"

    @pytest.mark.parametrize("last", [Event("sorry", event="error"), None])
    async def test_the_client_may_be_told_of_an_error_before_it_is_cut_off(
        self, last: Event[object] | None
    ) -> None:
        seen, chunks = list[str](), list[bytes]()

        def told(error: Exception) -> Event[object] | None:
            seen.append(str(error))
            return last

        with pytest.raises(LookupError, match="gone"):
            await read(EventStream(fails(), on_error=told).content, chunks)
        assert seen == ["gone"]
        assert b"".join(chunks) == b":\n\n" + (b"event: error\ndata: sorry\n\n" if last else b"")


class TestStopping:
    @pytest.mark.parametrize("retry", [None, 7])
    async def test_a_stream_ends_with_the_server_and_says_when_to_come_back(
        self, retry: float | None
    ) -> None:
        ended = asyncio.Event()
        stop = asyncio.Event()

        async def endless() -> AsyncIterator[str]:
            try:
                yield "x"
                await asyncio.Event().wait()
            finally:
                ended.set()

        token = stopping.set(stop)
        try:
            content = aiter(EventStream(endless(), retry=retry).content)
            while (await anext(content)) != b"data: x\n\n":
                pass
            stop.set()
            rest: list[bytes] = []
            await read(content, rest)
        finally:
            stopping.reset(token)

        found = re.fullmatch(rb"retry: (\d+)\n\n", b"".join(rest))
        assert found is not None
        assert 1000 <= int(found[1]) <= 3000 if retry is None else int(found[1]) == 7000
        assert ended.is_set()

    async def test_one_that_never_waits_ends_too(self) -> None:
        stop = asyncio.Event()

        async def torrent() -> AsyncIterator[str]:
            while True:
                yield "x" * 1000

        token = stopping.set(stop)
        try:
            async with asyncio.timeout(BOUND):
                async for _ in EventStream(torrent()).content:
                    stop.set()
                    await asyncio.sleep(0)
        finally:
            stopping.reset(token)

    async def test_one_that_begins_then_ends_at_once(self) -> None:
        stop = asyncio.Event()
        stop.set()

        async def never() -> AsyncIterator[str]:
            await asyncio.Event().wait()
            yield ""

        token = stopping.set(stop)
        try:
            assert b"retry: " in await joined(EventStream(never()))
        finally:
            stopping.reset(token)
