"""Oxidite, as its documentation writes it."""

import os
from collections.abc import AsyncIterator
from typing import Annotated

from msgspec import Meta, Struct
from oxidite import Json, Oxidite, Request, Response, StreamingResponse
from oxidite.http.types import Handler
from oxidite.middleware import cors
from oxidite.websocket import WebSocket

MODE = os.environ.get("WORKLOAD", "main")


class Message(Struct):
    message: str


class User(Struct):
    id: int
    q: str | None
    limit: int


class Part(Struct):
    sku: str
    count: int


class Item(Struct):
    name: Annotated[str, Meta(min_length=1, max_length=100)]
    price: Annotated[float, Meta(ge=0)]
    quantity: Annotated[int, Meta(ge=1)]
    tags: list[str]
    in_stock: bool
    parts: list[Part]


class Created(Struct):
    name: str
    total: int


class Numbered(Struct):
    id: int
    route: int


async def noop(request: Request, call_next: Handler) -> Response:
    return await call_next(request)


layers = [noop] * 5 if MODE in ("layers", "mw") else []
app = Oxidite(middleware=[cors(["https://example.com"]), *layers] if MODE == "mw" else layers)


def numbered(number: int) -> None:
    @app.get(f"/r{number:03d}/{{id:int}}/x")
    async def handler(id: int) -> Numbered:
        return Numbered(id, number)


if MODE in ("main", "layers", "mw"):

    @app.get("/plaintext")
    async def plaintext() -> str:
        return "Hello, World!"

    @app.get("/json")
    async def json() -> Message:
        return Message("Hello, World!")

    @app.get("/users/{id:int}")
    async def user(id: int, q: str | None = None, limit: int = 20) -> User:
        return User(id, q, limit)

    @app.post("/items")
    async def create(item: Json[Item]) -> Created:
        return Created(item.name, item.quantity + sum(part.count for part in item.parts))


if MODE == "ws":

    @app.websocket("/ws")
    async def echo(socket: WebSocket) -> None:
        async for message in socket:
            await socket.send(message)


if MODE == "stream":

    async def pieces(count: int) -> AsyncIterator[bytes]:
        piece = b"x" * 65_536
        for _ in range(count):
            yield piece

    @app.get("/stream/{count:int}")
    async def stream(count: int) -> StreamingResponse:
        return StreamingResponse(pieces(count))


if MODE == "files":
    app.static("/files", os.environ["FILES"])


if MODE == "routes300":
    for n in range(300):
        numbered(n)
if MODE == "routes1":
    numbered(299)
