"""Sanic: its own server, typed path parameters; bodies by msgspec, CORS by sanic-ext."""

import os
import sys
from typing import Annotated

from msgspec import Meta, Struct, ValidationError
from msgspec.json import Decoder, Encoder
from sanic import Sanic, text
from sanic.exceptions import BadRequest
from sanic.response import HTTPResponse

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


encode = Encoder().encode
decode_item = Decoder(Item).decode
app = Sanic("peer")
app.config.KEEP_ALIVE_TIMEOUT = 600
app.config.AUTO_EXTEND = False


def as_json(value: Struct) -> HTTPResponse:
    return HTTPResponse(encode(value), content_type="application/json")


def numbered(number: int):
    async def handler(request, id: int):
        return as_json(Numbered(id, number))

    app.add_route(handler, f"/r{number:03d}/<id:int>/x", name=f"numbered{number}")


if MODE in ("main", "mw"):

    @app.get("/plaintext")
    async def plaintext(request):
        return text("Hello, World!")

    @app.get("/json")
    async def json(request):
        return as_json(Message("Hello, World!"))

    @app.get("/users/<id:int>")
    async def user(request, id: int):
        try:
            limit = int(request.args.get("limit", 20))
        except ValueError:
            raise BadRequest("limit is not a number") from None
        return as_json(User(id, request.args.get("q"), limit))

    @app.post("/items")
    async def create(request):
        try:
            item = decode_item(request.body)
        except ValidationError as error:
            raise BadRequest(str(error)) from error
        return as_json(Created(item.name, item.quantity + sum(p.count for p in item.parts)))


if MODE == "routes300":
    for n in range(300):
        numbered(n)
if MODE == "routes1":
    numbered(299)
if MODE == "mw":
    from sanic_ext import Config, Extend

    Extend(
        app,
        config=Config(
            cors_origins="https://example.com",
            oas=False,
            health=False,
            logging=False,
        ),
    )

    def make_noop():
        async def noop(request):
            return None

        return noop

    for _ in range(5):
        # Sanic takes the same function only once.
        app.register_middleware(make_noop(), "request")

if __name__ == "__main__":
    app.run(
        host="127.0.0.1",
        port=int(sys.argv[1]),
        single_process=True,
        access_log=False,
        motd=False,
        debug=False,
    )
