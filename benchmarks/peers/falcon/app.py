"""Falcon (ASGI): resources and its typed path; msgspec decodes, validates and encodes; its own CORS."""

import os
from typing import Annotated

import falcon
import falcon.asgi
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


class PlaintextResource:
    async def on_get(self, req, resp):
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = "Hello, World!"


class JsonResource:
    async def on_get(self, req, resp):
        resp.data = encode(Message("Hello, World!"))


class UserResource:
    async def on_get(self, req, resp, id):
        limit = req.get_param_as_int("limit", default=20)
        resp.data = encode(User(id, req.get_param("q"), limit))


class ItemResource:
    async def on_post(self, req, resp):
        try:
            item = decode_item(await req.stream.read())
        except ValidationError as error:
            raise falcon.HTTPUnprocessableEntity(description=str(error)) from error
        total = item.quantity + sum(part.count for part in item.parts)
        resp.data = encode(Created(item.name, total))


class NumberedResource:
    def __init__(self, number):
        self.number = number

    async def on_get(self, req, resp, id):
        resp.data = encode(Numbered(id, self.number))


class Noop:
    async def process_request(self, req, resp):
        pass

    async def process_response(self, req, resp, resource, req_succeeded):
        pass


if MODE == "mw":
    app = falcon.asgi.App(
        middleware=[
            falcon.CORSMiddleware(allow_origins="https://example.com"),
            *[Noop() for _ in range(5)],
        ]
    )
else:
    app = falcon.asgi.App()
if MODE in ("main", "mw"):
    app.add_route("/plaintext", PlaintextResource())
    app.add_route("/json", JsonResource())
    app.add_route("/users/{id:int}", UserResource())
    app.add_route("/items", ItemResource())
if MODE == "routes300":
    for n in range(300):
        app.add_route(f"/r{n:03d}/{{id:int}}/x", NumberedResource(n))
if MODE == "routes1":
    app.add_route("/r299/{id:int}/x", NumberedResource(299))
