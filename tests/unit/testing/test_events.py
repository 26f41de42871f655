from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from oxidite import Event, Events, Lines, NotFoundError, Oxidite, Request, Response
from oxidite.encoding import MismatchError
from oxidite.http.streams.events import encode_event
from oxidite.protocols import inflight
from oxidite.testing import Client, ReceivedEvent
from oxidite.testing.events import read_events, read_lines

BOUND = 3.0  # seconds until a wait counts as a hang


class Tick(Struct):
    number: int


def response_of(*chunks: bytes) -> httpx2.Response:
    async def content() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return httpx2.Response(200, content=content())


async def parsed(*chunks: bytes) -> list[ReceivedEvent]:
    return [event async for event in read_events(response_of(*chunks))]


# The examples of the standard, and its rules one by one.
@pytest.mark.parametrize(
    ("wire", "events"),
    [
        (b"", []),
        (b": test stream\n\ndata: first event\nid: 1\n\n", [ReceivedEvent("first event", id="1")]),
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", [ReceivedEvent("YHOO\n+2\n10")]),
        (b"data:second event\nid\n\n", [ReceivedEvent("second event")]),
        (b"data:  third event\n\n", [ReceivedEvent(" third event")]),
        (b"data\n\ndata\ndata\n\ndata:", [ReceivedEvent(""), ReceivedEvent("\n")]),
        (b"event: add\ndata: 1\n\ndata: 2\n\n", [ReceivedEvent("1", "add"), ReceivedEvent("2")]),
        (b"event: lost\n\ndata: 2\n\n", [ReceivedEvent("2")]),
        (b"id: 1\n\ndata: a\n\n", [ReceivedEvent("a", id="1")]),
        (b"id: 1\0\ndata: a\n\n", [ReceivedEvent("a")]),
        (b"retry: 1500\n\ndata: a\n\n", [ReceivedEvent("a", retry=1.5)]),
        (b"retry: x\ndata: a\n\n", [ReceivedEvent("a")]),
        (b"unknown: x\ndata: a\n\n", [ReceivedEvent("a")]),
        (b"data: a\r\rdata: b\r\r", [ReceivedEvent("a"), ReceivedEvent("b")]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [ReceivedEvent("a"), ReceivedEvent("b")]),
        (b"data: unfinished\n", []),
    ],
)
async def test_events_are_read_as_a_browser_does(wire: bytes, events: list[ReceivedEvent]) -> None:
    assert await parsed(wire) == events
    assert await parsed(*(wire[i : i + 1] for i in range(len(wire)))) == events


@given(st.lists(st.sampled_from(["a", "é\nb", "\u2028", ""])), st.data())
async def test_where_the_chunks_end_makes_no_difference(
    texts: list[str], data: st.DataObject
) -> None:
    wire = b"".join(map(encode_event, texts))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)))))
    chunks = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]

    assert [event.data for event in await parsed(*chunks)] == texts


async def test_lines_are_read_wherever_the_chunks_end() -> None:
    chunks = [b'{"a"', b":1}\n\n", b"2\r\n", b"3"]
    values = [v async for v in read_lines(response_of(*chunks), bytes.strip)]
    assert values == [b'{"a":1}', b"2", b"3"]


@pytest.fixture
def app() -> Oxidite:
    app = Oxidite()

    @app.post("/events/{count:int}")
    async def events(count: int) -> Events[Event[Tick]]:
        for number in range(count):
            yield Event(Tick(number), id=str(number))

    @app.get("/lines")
    async def lines() -> Lines[Tick]:
        yield Tick(0)
        yield Tick(1)

    @app.get("/nothing")
    async def nothing() -> Response:
        raise NotFoundError("no such feed")

    return app


async def test_the_client_gives_events_and_what_is_in_them(app: Oxidite) -> None:
    async with Client(app) as client:
        received = [event async for event in client.events("POST", "/events/2")]
    assert [event.id for event in received] == ["0", "1"]
    assert received[1].json() == {"number": 1}
    assert received[1].json(Tick) == Tick(1)


async def test_the_client_gives_lines_as_values(app: Oxidite) -> None:
    async with Client(app) as client:
        assert [value async for value in client.lines("GET", "/lines")] == [
            {"number": 0},
            {"number": 1},
        ]
        assert [tick async for tick in client.lines("GET", "/lines", Tick)] == [Tick(0), Tick(1)]
        with pytest.raises(MismatchError):
            _ = [tick async for tick in client.lines("GET", "/lines", list[int])]


async def test_the_client_says_what_it_wants_and_sends_what_it_is_told() -> None:
    app = Oxidite()

    @app.get("/")
    async def show(request: Request) -> Lines[list[str | None]]:
        yield [request.headers.get("accept"), request.headers.get("x-one"), request.query.get("q")]

    async with Client(app, headers={"x-one": "1"}) as client:
        assert [v async for v in client.lines("GET", "/", params={"q": "2"})] == [
            ["application/jsonl", "1", "2"]
        ]
        assert [v async for v in client.lines("GET", "/", headers={"accept": "*/*"})] == [
            ["*/*", "1", None]
        ]


async def test_another_answer_is_shown(app: Oxidite) -> None:
    async with Client(app) as client:
        with pytest.raises(
            AssertionError, match=r"expected text/event-stream, got 404 .*no such feed"
        ):
            await anext(aiter(client.events("GET", "/nothing")))
        with pytest.raises(AssertionError, match="got 200 application/jsonl"):
            async with client.events("GET", "/lines"):
                pass


async def test_to_go_on_where_one_stopped_and_to_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inflight, "SWEEP", 0.001)
    app, ended = Oxidite(), asyncio.Event()

    @app.get("/")
    async def endless() -> Events[int]:
        number = 0
        try:
            while True:
                yield number
                number += 1
                await asyncio.sleep(0)
        finally:
            ended.set()

    async with Client(app) as client, asyncio.timeout(BOUND):
        async with client.events("GET", "/") as events:
            async for event in events:
                if event.data == "2":
                    break
            async for event in events:
                assert event.data == "3"
                break
            assert not ended.is_set()
        await ended.wait()
