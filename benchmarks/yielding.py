"""What one item costs of a handler that yields, in process, without a server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from benchmarks.contract import Exchange
from benchmarks.fakes import AsgiServer, lifespan
from oxidite import Events, Lines, Oxidite, Rows, StreamingResponse

COUNT = 20_000


class Tick(msgspec.Struct):
    number: int
    word: str = "word"


TICK = Tick(7)
encode = msgspec.json.Encoder().encode


async def rushing() -> AsyncIterator[Tick]:
    for _ in range(COUNT):
        yield TICK


async def waiting() -> AsyncIterator[Tick]:
    for _ in range(COUNT):
        await asyncio.sleep(0)
        yield TICK


Source = Callable[[], AsyncIterator[Tick]]


def applications(source: Source) -> dict[str, Any]:
    """The same events from a bare callable, from a response, and from what is annotated."""

    async def raw(_scope: Any, _receive: Any, send: Any) -> None:
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async for tick in source():
            body = b"data: " + encode(tick) + b"\n\n"
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    app = Oxidite(debug=False)

    @app.get("/response")
    async def response() -> StreamingResponse:
        async def chunks() -> AsyncIterator[bytes]:
            async for tick in source():
                yield b"data: " + encode(tick) + b"\n\n"

        return StreamingResponse(chunks(), content_type="text/event-stream")

    @app.get("/events")
    async def events() -> Events[Tick]:
        return source()

    @app.get("/lines")
    async def lines() -> Lines[Tick]:
        return source()

    @app.get("/rows")
    async def rows() -> Rows[Tick]:
        return source()

    return {"raw": raw, "response": app, "events": app, "lines": app, "rows": app}


def show(
    loop: asyncio.AbstractEventLoop, row: Callable[[str, list[str]], str], rounds: int = 5
) -> None:
    """Print the table: CPU for each item of a producer that never waits, and of one that does."""
    print(f"\nHandlers that yield, CPU µs per item of {COUNT:,} (minimum of {rounds})")
    sources: dict[str, Source] = {"never waits": rushing, "waits each time": waiting}
    names = list(applications(rushing))
    print(row("", names))
    for label, source in sources.items():
        values = loop.run_until_complete(_measured(applications(source), rounds))
        print(row(label, [f"{values[name] * 1e6:.2f}" for name in names]))


async def _measured(contestants: dict[str, Any], rounds: int) -> dict[str, float]:
    best: dict[str, float] = {}
    for _ in range(rounds):
        for name, application in contestants.items():
            end = await lifespan(application) if isinstance(application, Oxidite) else None
            server = _Patient(application, Exchange("GET", f"/{name}"))
            started = time.thread_time()
            await server.once()
            taken = (time.thread_time() - started) / COUNT
            best[name] = min(taken, best.get(name, taken))
            if end is not None:
                await end()
    return best


class _Patient(AsgiServer):
    """A client that stays: it has sent everything, and does not leave."""

    async def _receive(self) -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")
