"""FastAPI: typed parameters, pydantic models in and out, plain ASGI middleware, its own CORS."""

import os
from typing import Annotated

from fastapi import FastAPI, WebSocket
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import PlainTextResponse, StreamingResponse
from pydantic import BaseModel, Field

MODE = os.environ.get("WORKLOAD", "main")


class Message(BaseModel):
    message: str


class User(BaseModel):
    id: int
    q: str | None
    limit: int


class Part(BaseModel):
    sku: str
    count: int


class Item(BaseModel):
    name: Annotated[str, Field(min_length=1, max_length=100)]
    price: Annotated[float, Field(ge=0)]
    quantity: Annotated[int, Field(ge=1)]
    tags: list[str]
    in_stock: bool
    parts: list[Part]


class Created(BaseModel):
    name: str
    total: int


class Numbered(BaseModel):
    id: int
    route: int


class Noop:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)


app = FastAPI(openapi_url=None)


def numbered(number: int):
    @app.get(f"/r{number:03d}/{{id}}/x")
    async def handler(id: int) -> Numbered:
        return Numbered(id=id, route=number)


if MODE in ("main", "mw"):

    @app.get("/plaintext", response_class=PlainTextResponse)
    async def plaintext() -> str:
        return "Hello, World!"

    @app.get("/json")
    async def json() -> Message:
        return Message(message="Hello, World!")

    @app.get("/users/{id}")
    async def user(id: int, q: str | None = None, limit: int = 20) -> User:
        return User(id=id, q=q, limit=limit)

    @app.post("/items")
    async def create(item: Item) -> Created:
        return Created(name=item.name, total=item.quantity + sum(p.count for p in item.parts))


if MODE == "ws":

    @app.websocket("/ws")
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        async for message in websocket.iter_text():
            await websocket.send_text(message)


if MODE == "stream":

    async def pieces(count: int):
        piece = b"x" * 65_536
        for _ in range(count):
            yield piece

    @app.get("/stream/{count}")
    async def stream(count: int):
        return StreamingResponse(pieces(count), media_type="application/octet-stream")


if MODE == "routes300":
    for n in range(300):
        numbered(n)
if MODE == "routes1":
    numbered(299)
if MODE == "mw":
    for _ in range(5):
        app.add_middleware(Noop)
    app.add_middleware(CORSMiddleware, allow_origins=["https://example.com"])
