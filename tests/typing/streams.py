"""What a handler yields is checked against its annotation; checked by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Annotated, assert_type

from msgspec import Struct

from oxidite import Event, Events, Lines, Oxidite, Response, Rows
from oxidite.extract import LastEventID, MaxLine
from oxidite.http.streams import CSVStream, EventStream, JSONLines
from oxidite.testing import Client, ReceivedEvent


class Tick(Struct):
    number: int


app = Oxidite()


@app.get("/events")
async def events(last: LastEventID) -> Events[Tick]:
    assert_type(last, str | None)
    yield Tick(1)
    yield 3  # type: ignore[misc]


@app.get("/named")
async def named() -> Events[Event[Tick]]:
    yield Event(Tick(1), id="1", event="tick", retry=3)
    yield Event(comment="nothing yet")


@app.post("/lines")
async def lines(items: Lines[Tick]) -> Lines[str]:
    assert_type(items, AsyncIterator[Tick])
    async for item in items:
        assert_type(item, Tick)
        yield str(item.number)


@app.post("/limited")
async def limited(items: Annotated[Lines[Tick], MaxLine(10_000)]) -> int:
    return len([item.number async for item in items])


@app.get("/rows")
async def rows() -> Rows[Tick]:
    yield Tick(1)


@app.get("/sync")
def sync() -> Annotated[Iterator[Tick], Lines]:
    yield Tick(1)


@app.get("/returned")
async def returned(found: bool = True) -> Events[Tick] | Response:
    return rows() if found else Response(status=204)


@app.get("/responses")
async def responses() -> EventStream[Tick]:
    assert_type(JSONLines(rows()), JSONLines[Tick])
    assert_type(CSVStream([Tick(1)]), CSVStream[Tick])
    return EventStream(rows(), keep_alive=5, on_error=lambda error: Event(str(error)))


async def reading(client: Client) -> None:
    async for event in client.events("GET", "/events"):
        assert_type(event, ReceivedEvent)
        assert_type(event.json(Tick), Tick)
    async with client.lines("GET", "/lines", Tick) as received:
        async for item in received:
            assert_type(item, Tick)


EventStream(rows(), keepalive=5)  # type: ignore[call-arg]
