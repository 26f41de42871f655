"""What a worker does around an application."""

from __future__ import annotations

import asyncio

from oxidite import Oxidite
from oxidite.servers.base import Settings
from oxidite.servers.guard import guard
from oxidite.testing import Client
from oxidite.websocket import WebSocket


async def test_what_is_shed_is_counted_by_requests_and_not_by_websockets() -> None:
    app, began, held = Oxidite(), asyncio.Event(), asyncio.Event()

    @app.get("/")
    async def hello() -> str:
        return "hello"

    @app.get("/slow")
    async def slow() -> None:
        began.set()
        await held.wait()

    @app.websocket("/talk")
    async def talk(socket: WebSocket) -> None:
        async for message in socket:
            await socket.send(message)

    guard(app, Settings(max_in_flight=1))
    async with Client(app) as client, client.websocket("/talk") as one, client.websocket("/talk"):
        await one.send_text("a")
        assert await one.receive_text() == "a"
        assert (await client.get("/")).status_code == 200
        task = asyncio.create_task(client.get("/slow"))
        await began.wait()
        assert (await client.get("/")).status_code == 503
        held.set()
        assert (await task).status_code == 204
    assert len(app.in_flight) == 0
