"""An application of WebSockets; ``test_websocket.py`` runs it on every server."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated

from msgspec import Meta, Struct

from oxidite import Depends, ForbiddenError, NotFoundError, Oxidite, Request, Response
from oxidite.http import Handler
from oxidite.websocket import ClosedError, WebSocket, WebSocketError


async def stamp(request: Request, call_next: Handler) -> Response:
    response = await call_next(request)
    response.headers["x-stamp"] = f"{request.method} {response.status}"
    return response


app = Oxidite(middleware=[stamp])

LINES: list[str] = []
"""What happened, for a test to ask about."""


@app.get("/lines")
async def lines() -> list[str]:
    return LINES


@app.get("/pid")
async def pid() -> int:
    return os.getpid()


class Say(Struct, tag="say"):
    text: Annotated[str, Meta(max_length=10)]


class Shout(Struct, tag="shout"):
    text: str


class Said(Struct):
    text: str


async def line() -> str:
    return "line"


@app.websocket("/echo", max_message=2 * 2**20)
async def echo(socket: WebSocket) -> None:
    async for message in socket:
        await socket.send(message)
    LINES.append(f"echo ended {socket.closing and socket.closing.code}")


@app.websocket("/typed/{room}", subprotocols={"chat.packed": "msgpack", "chat.text": "json"})
async def typed(
    room: str, socket: WebSocket[Say | Shout, Said], prefix: str = Depends(line)
) -> None:
    if room == "none":
        raise NotFoundError("There is no such room.")
    async for message in socket:
        if isinstance(message, Shout):
            await socket.send(Said(message.text.upper()))
        else:
            await socket.send(Said(f"{prefix} {room} {message.text}"))


@app.websocket("/small", max_message=1000)
async def small(socket: WebSocket) -> None:
    async for message in socket:
        await socket.send(str(len(message)))


@app.websocket("/rated", rate=1, burst=5)
async def rated(socket: WebSocket) -> None:
    async for message in socket:
        await socket.send(message)


@app.websocket("/forbidden")
async def forbidden(socket: WebSocket) -> None:
    raise ForbiddenError("Not you.")


@app.websocket("/number/{n}")
async def number(n: int, socket: WebSocket, count: Annotated[int, Meta(ge=1)] = 1) -> None:
    await socket.send(str(n * count))


@app.websocket("/fails")
async def fails(socket: WebSocket) -> None:
    await socket.receive()
    raise RuntimeError("hidden detail")


@app.websocket("/own-code")
async def own_code(socket: WebSocket) -> None:
    await socket.receive()
    raise WebSocketError("ünter", 4321)


@app.websocket("/closes")
async def closes(socket: WebSocket) -> None:
    await socket.accept(headers={"x-own": "here"})
    await socket.close(4000, "x" * 200)


@app.websocket("/waits", grace=0.2)
async def waits(socket: WebSocket) -> None:
    await socket.send("begun")
    LINES.append("waiting")
    try:
        await asyncio.Event().wait()
    finally:
        LINES.append("stopped waiting")


@app.websocket("/ticks")
async def ticks(socket: WebSocket) -> None:
    LINES.append("ticking")
    try:
        while True:
            await socket.send("tick")
            await asyncio.sleep(0.02)
    except ClosedError:
        LINES.append("ticks ended")
        raise


@app.websocket("/torrent", send_timeout=1)
async def torrent(socket: WebSocket) -> None:
    sent = 0
    try:
        while True:
            await socket.send(os.urandom(65_536))
            sent += 1
    except WebSocketError as exc:
        LINES.append(f"torrent {exc.close_code} {sent < 1000}")
        raise


@app.websocket("/deaf", grace=60)
async def deaf(socket: WebSocket) -> None:
    await socket.accept()
    LINES.append("deaf")
    await asyncio.sleep(4)


@app.websocket("/idle", idle=0.3)
async def idle(socket: WebSocket) -> None:
    async for message in socket:
        await socket.send(message)
