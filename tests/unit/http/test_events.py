from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

import httpx2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Struct

from oxidite.http import Event, EventStream, Response
from oxidite.http.events import encode_event, stopping
from oxidite.testing import ReceivedEvent
from oxidite.testing.events import read_events

BOUND = 3.0  # seconds until a wait counts as a hang
SOON = 0.001  # seconds between two keep-alive comments, where a test waits for one


class Tick(Struct):
    number: int


async def received(data: bytes) -> list[ReceivedEvent]:
    """Return the events in ``data``, as a browser would."""
    return [event async for event in read_events(httpx2.Response(200, content=data))]


@pytest.mark.parametrize(
    ("item", "wire"),
    [
        (Tick(1), b'data: {"number":1}\n\n'),
        ({"a": [None]}, b'data: {"a":[null]}\n\n'),
        (None, b"data: null\n\n"),
        ("text", b"data: text\n\n"),
        ("", b"data: \n\n"),
        ("two\nlines", b"data: two\ndata: lines\n\n"),
        (Event(Tick(1)), b'data: {"number":1}\n\n'),
        (Event(None, event="end"), b"event: end\ndata: null\n\n"),
        (
            Event("x", event="tick", id="7", retry=1.5, comment="one\ntwo"),
            b": one\n: two\nretry: 1500\nid: 7\nevent: tick\ndata: x\n\n",
        ),
        (Event(comment=""), b": \n\n"),
        (Event(id="", retry=0), b"retry: 0\nid: \n\n"),
        (Event("é", id="é"), "id: é\ndata: é\n\n".encode()),
    ],
)
def test_an_event_on_the_wire(item: object, wire: bytes) -> None:
    assert encode_event(item) == wire


@pytest.mark.parametrize("field", ["id", "event"])
@pytest.mark.parametrize("value", ["a\nb", "a\r", "\r\ndata: evil", "a\0"])
def test_a_field_of_one_line_has_one_line(field: str, value: str) -> None:
    fields: dict[str, Any] = {field: value}
    with pytest.raises(ValueError, match=rf"{field}=.* line break or NUL"):
        Event("x", **fields)


@pytest.mark.parametrize("retry", [-1, float("nan"), float("inf"), 1e12])
def test_what_is_no_time_to_wait_is_refused(retry: float) -> None:
    with pytest.raises(ValueError, match="not a number of seconds"):
        Event("x", retry=retry)
    with pytest.raises(ValueError, match="not a number of seconds"):
        EventStream([], retry=retry)


@pytest.mark.parametrize("keep_alive", [0, -1, float("nan"), float("inf")])
def test_a_keep_alive_that_is_no_time_is_refused(keep_alive: float) -> None:
    with pytest.raises(ValueError, match="keep_alive="):
        EventStream([], keep_alive=keep_alive)


def test_an_event_that_nobody_would_be_told_of_is_refused() -> None:
    with pytest.raises(ValueError, match="There is nothing in this event"):
        Event()
    with pytest.raises(ValueError, match="'tick' without data is ignored"):
        Event(event="tick")


def test_an_event_shows_what_it_holds() -> None:
    assert repr(Event({"a": 1}, id="3")) == "Event(data={'a': 1}, id='3')"
    assert repr(Event(comment="x")) == "Event(comment='x')"


lines = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"))
texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(data=texts, event=lines, id=lines, comment=texts)
@example(data="a\u2028b\x0bc\x85d", event="e", id="i", comment="\n\ndata: evil")
@example(data="\n\nevent: evil\ndata: x", event="", id="", comment="\r")
async def test_whatever_is_sent_arrives_and_nothing_else(
    data: str, event: str, id: str, comment: str
) -> None:
    wire = encode_event(Event(data, event=event, id=id, comment=comment))

    # What a line ends with is the one thing that the format cannot carry.
    text = re.sub(r"\r\n|\r", "\n", data)
    assert await received(wire) == [ReceivedEvent(text, event or "message", id)]


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
