"""Litestar: msgspec structs in and out, plain ASGI middleware, its own CORS."""

import os
from typing import Annotated

from litestar import Litestar, MediaType, WebSocket, get, post, websocket
from litestar.config.cors import CORSConfig
from litestar.response import Stream
from msgspec import Meta, Struct

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


def noop(app):
    async def middleware(scope, receive, send):
        await app(scope, receive, send)

    return middleware


@get("/plaintext", media_type=MediaType.TEXT)
async def plaintext() -> str:
    return "Hello, World!"


@get("/json")
async def json() -> Message:
    return Message("Hello, World!")


@get("/users/{id:int}")
async def user(id: int, q: str | None = None, limit: int = 20) -> User:
    return User(id, q, limit)


@post("/items", status_code=200)
async def create(data: Item) -> Created:
    return Created(data.name, data.quantity + sum(part.count for part in data.parts))


async def pieces(count: int):
    piece = b"x" * 65_536
    for _ in range(count):
        yield piece


@get("/stream/{count:int}", media_type="application/octet-stream")
async def stream(count: int) -> Stream:
    return Stream(pieces(count))


def numbered(number: int):
    @get(f"/r{number:03d}/{{id:int}}/x")
    async def handler(id: int) -> Numbered:
        return Numbered(id, number)

    return handler


@websocket("/ws")
async def echo(socket: WebSocket) -> None:
    await socket.accept()
    async for message in socket.iter_data():
        await socket.send_text(message)


MAIN = [plaintext, json, user, create]
ROUTES = {
    "main": MAIN,
    "mw": MAIN,
    "routes300": [numbered(n) for n in range(300)],
    "routes1": [numbered(299)],
    "ws": [echo],
    "stream": [stream],
}
app = Litestar(
    route_handlers=ROUTES[MODE],
    middleware=[noop] * 5 if MODE == "mw" else [],
    cors_config=CORSConfig(allow_origins=["https://example.com"]) if MODE == "mw" else None,
    openapi_config=None,
)
