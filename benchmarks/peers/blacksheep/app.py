"""BlackSheep: its binders for parameters, msgspec for JSON (its `Content` takes the bytes)."""

import os
from typing import Annotated

from blacksheep import Application, Content, Request, Response, Router
from blacksheep.exceptions import BadRequest
from msgspec import Meta, Struct, ValidationError
from msgspec.json import Decoder, Encoder

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
router = Router()
app = Application(router=router)


def as_json(value: Struct) -> Response:
    return Response(200, None, Content(b"application/json", encode(value)))


def numbered(number: int):
    @router.get(f"/r{number:03d}/{{int:id}}/x")
    async def handler(id: int) -> Response:
        return as_json(Numbered(id, number))


if MODE in ("main", "mw"):

    @router.get("/plaintext")
    async def plaintext() -> Response:
        return Response(200, None, Content(b"text/plain; charset=utf-8", b"Hello, World!"))

    @router.get("/json")
    async def json() -> Response:
        return as_json(Message("Hello, World!"))

    @router.get("/users/{int:id}")
    async def user(id: int, q: str | None = None, limit: int = 20) -> Response:
        return as_json(User(id, q, limit))

    @router.post("/items")
    async def create(request: Request) -> Response:
        try:
            item = decode_item(await request.read())
        except ValidationError as error:
            raise BadRequest(str(error)) from error
        return as_json(Created(item.name, item.quantity + sum(p.count for p in item.parts)))


if MODE == "routes300":
    for n in range(300):
        numbered(n)
if MODE == "routes1":
    numbered(299)
if MODE == "mw":

    async def noop(request, handler):
        return await handler(request)

    app.use_cors(allow_origins="https://example.com", allow_methods="*")
    for _ in range(5):
        app.middlewares.append(noop)
