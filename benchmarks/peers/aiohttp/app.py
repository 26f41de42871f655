"""aiohttp: its own server on uvloop; pydantic validates, aiohttp-cors answers CORS."""

import os
import sys
from typing import Annotated

import aiohttp_cors
import uvloop
from aiohttp import web
from pydantic import BaseModel, Field, ValidationError

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


def as_json(value: BaseModel) -> web.Response:
    return web.Response(text=value.model_dump_json(), content_type="application/json")


async def plaintext(request):
    return web.Response(text="Hello, World!")


async def json(request):
    return as_json(Message(message="Hello, World!"))


async def user(request):
    query = request.query
    try:
        limit = int(query.get("limit", 20))
    except ValueError:
        raise web.HTTPUnprocessableEntity(reason="limit is not a number") from None
    return as_json(User(id=int(request.match_info["id"]), q=query.get("q"), limit=limit))


async def create(request):
    try:
        item = Item.model_validate_json(await request.read())
    except ValidationError as error:
        raise web.HTTPUnprocessableEntity(text=error.json()) from error
    total = item.quantity + sum(part.count for part in item.parts)
    return as_json(Created(name=item.name, total=total))


def numbered(number: int):
    async def handler(request):
        return as_json(Numbered(id=int(request.match_info["id"]), route=number))

    return web.get(f"/r{number:03d}/{{id:\\d+}}/x", handler)


@web.middleware
async def noop(request, handler):
    return await handler(request)


def build() -> web.Application:
    app = web.Application(middlewares=[noop] * 5 if MODE == "mw" else [])
    if MODE in ("main", "mw"):
        app.router.add_get("/plaintext", plaintext)
        app.router.add_get("/json", json)
        app.router.add_get("/users/{id:\\d+}", user)
        app.router.add_post("/items", create)
    if MODE == "routes300":
        app.add_routes([numbered(n) for n in range(300)])
    if MODE == "routes1":
        app.add_routes([numbered(299)])
    if MODE == "mw":
        options = aiohttp_cors.ResourceOptions(allow_credentials=False)
        cors = aiohttp_cors.setup(app, defaults={"https://example.com": options})
        for route in list(app.router.routes()):
            cors.add(route)
    return app


if __name__ == "__main__":
    web.run_app(
        build(),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        access_log=None,
        print=None,
        keepalive_timeout=600,
        loop=uvloop.new_event_loop(),
    )
